// How many of an image's layers become one, so that the rest fits a sandbox: pure.

/** What overlayfs takes, and one folding. */
export const maxLowers = 500

/**
 * How many of the oldest layers are folded into one; 0: all fit as they are. Folds end at multiples of half the budget, so that an image
 * that adds a few layers to another shares its folded one, and is seldom folded anew.
 */
export function foldedOf(layers: number, budget: number): number {
  if (layers <= budget) return 0
  const step = Math.ceil(budget / 2)
  return Math.ceil((layers - budget + 1) / step) * step
}
