/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_avx2 - the kernels for x86-64 processors with AVX2. Private.
 */
#ifndef DICOMSTEGO_KERNEL_AVX2_H
#define DICOMSTEGO_KERNEL_AVX2_H

#include "dicomstego/kernel.h"

/* NULL where they cannot run. */
const struct stego_kernels *stego_kernels_avx2(void);

#endif
