/* SPDX-License-Identifier: Apache-2.0 */
/*
 * survey - what the chain's embedder knows of a cover, and the choice of a model from it. Private.
 */
#ifndef DICOMSTEGO_SURVEY_H
#define DICOMSTEGO_SURVEY_H

#include "dicomstego/chain_params.h"

struct stego_survey {
    struct stego_params params;
    uint32_t every; /* rows from one that is looked at to the next */
    /* Room for the samples of these rows, borrowed: those that could be changed. Not needed any
     * more once they are counted in the couplings. */
    struct stego_site *site;
    size_t sites;
    double share;                      /* of all samples that were looked at */
    struct stego_couplings *couplings; /* owned; those of params.model after stego_survey_choose */
};

/* How many sites a survey of the plane has at most. */
size_t stego_survey_sites(const struct stego_chain *chain);

/* *s is made of what is met on a walk without marking. */
DS_CHECKED enum ds_status stego_survey_look(const struct stego_chain *chain, unsigned predictor,
                                            struct stego_site *room, struct stego_survey *s,
                                            struct ds_error *err);
void stego_survey_finish(struct stego_survey *s);

/* From the sites to scale, shape and counts. */
DS_CHECKED enum ds_status stego_survey_conclude(const struct stego_chain *chain,
                                                struct stego_survey *s, struct ds_error *err);

/* Bits and squared error of the whole plane. */
struct stego_yield stego_survey_yield(struct stego_survey *s, unsigned lambda, uint8_t reach);

/* May a value move so far? */
DS_CHECKED bool stego_survey_may_reach(const struct stego_chain *chain, uint8_t reach);

/* Sets lambda and reach so that `need` bits are taken at the least error, which *error tells; false
 * when so much does not fit. */
DS_CHECKED bool stego_survey_choose(const struct stego_chain *chain, struct stego_survey *s,
                                    double need, double *error);

#endif
