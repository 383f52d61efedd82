// The one door to the generated codecs. 64-bit fields are JavaScript numbers here: every value that Caisson defines is below 2^53, and
// what a stranger sends beyond that fails the range checks, rounded or not.
import './numbers.js'

export { caisson, google } from './generated/messages.js'
