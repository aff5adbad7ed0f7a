/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dna - bytes as a DNA sequence: two bits a base, four bases a byte, first bits first.
 *
 * A code, not a cipher: whoever reads the letters has the bytes. Of the 24 ways to give the bases
 * two bits each, eight keep Watson-Crick complements (A with T, C with G) as complements of the
 * bits: the rules 1 to 8, of which 1 is A=00 C=01 G=10 T=11. With a key, every base that the key's
 * stream names is replaced by its complement: papers call that encryption; here it lies over what
 * was sealed before, and nothing rests on it. Pure functions, any thread.
 */
#ifndef DICOMSTEGO_DNA_H
#define DICOMSTEGO_DNA_H

#include "base/bytes.h"
#include "dicomstego/crypto.h"

#define STEGO_DNA_RULES 8U

/* "ACGT" for rule 1: the letter of the bits 00, 01, 10, 11. NULL for no rule. */
const char *stego_dna_rule(unsigned rule);

/* Appends 4 * len letters. */
DS_CHECKED enum ds_status stego_dna_encode(unsigned rule, const uint8_t *data, size_t len,
                                           struct ds_bytes *out, struct ds_error *err);
/* Appends the bytes of letters, either case; white space is passed over. DS_EFORMAT, and the base,
 * line and column of it, for any other letter, and for a number of bases that is no multiple of
 * four. line: the number of the first one, from 1. */
DS_CHECKED enum ds_status stego_dna_decode(unsigned rule, const uint8_t *text, size_t len,
                                           size_t line, struct ds_bytes *out, struct ds_error *err);

/* Complements bases by the key, in bytes of either rule (a complement flips both bits): twice is
 * nothing. */
DS_CHECKED enum ds_status stego_dna_complement(const uint8_t key[STEGO_KEY_BYTES], uint8_t *data,
                                               size_t len, struct ds_error *err);

/* Bytes of the letters' bits by rule 1, from bytes coded by `rule`; and back. */
void stego_dna_to_bits(unsigned rule, uint8_t *data, size_t len);
void stego_dna_from_bits(unsigned rule, uint8_t *data, size_t len);

/* ---- FASTA ---- */

#define STEGO_FASTA_WIDTH 70U

/* Appends ">title" and the letters in lines of width. */
DS_CHECKED enum ds_status stego_fasta_write(const char *title, const uint8_t *letters, size_t len,
                                            unsigned width, struct ds_bytes *out,
                                            struct ds_error *err);
/* Is it FASTA? Then *title and *letters are what follows '>' in its first line, and the rest. */
DS_CHECKED bool stego_fasta_read(const struct ds_bytes *text, struct ds_cursor *title,
                                 struct ds_cursor *letters);

#endif
