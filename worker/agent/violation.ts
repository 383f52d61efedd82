/** Of one Output or Input frame. */
export const maxChunkBytes = 256 * 1024

/** The agent said what it may not: nothing more that it says counts. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation'
}
