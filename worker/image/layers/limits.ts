/** Of one layer; the operator may say otherwise. */
export interface LayerLimits {
  /** Uncompressed. */
  bytes: number
  /** The converter has memory for so many: an operator may allow fewer, not more. */
  entries: number
}

export const defaultLayerLimits: LayerLimits = { bytes: 8 * 2 ** 30, entries: 1_000_000 }
