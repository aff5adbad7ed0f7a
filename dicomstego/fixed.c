/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/fixed.h"

/* log2(1 + f) = f + 0.344 f (1 - f) within 0.008. */
#define PARABOLA 88U /* 0.344 in 1/256 */

uint32_t stego_log2_16ths(uint64_t v)
{
    if (v == 0) {
        return 0;
    }
    const unsigned octave = 63U - (unsigned)__builtin_clzll(v);
    const uint32_t f =
        octave >= 8 ? (uint32_t)(v >> (octave - 8U)) & 255U : (uint32_t)(v << (8U - octave)) & 255U;
    const uint32_t bend = (PARABOLA * f * (256U - f)) >> 16;
    return 16U * octave + ((f + bend) >> 4);
}

/* 2^-(i / 16), 2^-(i / 16^2), ... with 30 fraction bits. */
static const uint32_t powers[4][16] = {
    {1073741824, 1028218693, 984625594, 942880699, 902905651, 864625413, 827968132, 792865000,
     759250125, 727060411, 696235434, 666717336, 638450708, 611382493, 585461881, 560640218},
    {1073741824, 1070838486, 1067942999, 1065055341, 1062175491, 1059303428, 1056439131, 1053582579,
     1050733751, 1047892626, 1045059183, 1042233401, 1039415261, 1036604740, 1033801819,
     1031006477},
    {1073741824, 1073560135, 1073378477, 1073196849, 1073015252, 1072833686, 1072652151, 1072470646,
     1072289173, 1072107729, 1071926317, 1071744935, 1071563584, 1071382264, 1071200974,
     1071019715},
    {1073741824, 1073730468, 1073719111, 1073707755, 1073696399, 1073685043, 1073673687, 1073662331,
     1073650976, 1073639620, 1073628265, 1073616910, 1073605554, 1073594199, 1073582844,
     1073571490},
};

uint32_t stego_exp2_minus(uint64_t x)
{
    const uint64_t whole = x >> 16;
    if (whole >= 30) {
        return 0;
    }
    uint64_t v = powers[0][(x >> 12) & 15U];
    for (unsigned i = 1; i < 4; i++) {
        v = (v * powers[i][(x >> (12U - 4U * i)) & 15U] + (UINT64_C(1) << 29)) >> 30;
    }
    return (uint32_t)(v >> whole);
}

uint32_t stego_sqrt(uint64_t v)
{
    uint64_t root = 0;
    uint64_t bit = UINT64_C(1) << 62;
    while (bit > v) {
        bit >>= 2;
    }
    for (; bit != 0; bit >>= 2) {
        if (v >= root + bit) {
            v -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}
