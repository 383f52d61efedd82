// Limits of time in tests are for an ordinary machine, and are multiplied by this: in an emulated one everything takes some 15 times as long.

import process from 'node:process'

export const slowness = Number(process.env['CAISSON_TEST_SLOWNESS'] ?? 1)
