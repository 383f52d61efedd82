// The registry credential that came with a run or a pull, unsealed only here, in the worker that has it.
import { caisson } from '../proto/messages.js'
import { parseReference } from '../proto/reference.js'
import type { Seal } from '../proto/seal.js'
import type { Credentials } from '../redis/credentials.js'
import { asBuffer } from '../redis/events.js'
import { ImageError } from './image/failure.js'
import { Credential } from './image/registry/credential.js'

const { RegistryCredential } = caisson.v1

export class RunCredentials {
  constructor(
    private readonly sealed: Credentials,
    private readonly seal: Seal | undefined,
  ) {}

  async of(runId: string, image: string): Promise<Credential | undefined> {
    if (!isInRegistry(image)) return undefined
    const sealed = await this.sealed.of(runId)
    if (sealed === 'none') return undefined
    if (sealed === 'lost') throw lost('is not kept any more (it waits 24 hours at most)')
    return this.unseal(sealed, runId)
  }

  /** `boundTo`: the run or errand that it came with. */
  unseal(sealed: Uint8Array, boundTo: string): Credential | undefined {
    const secret = this.seal?.open(asBuffer(sealed), boundTo)
    if (!secret) throw lost("was sealed with another key than this worker's (--seal-key-file)")
    return read(secret)
  }
}

function read(secret: Buffer): Credential | undefined {
  const { username, password, identityToken } = RegistryCredential.decode(secret)
  return identityToken ? Credential.identityToken(identityToken) : Credential.password(username, password ?? '')
}

/** A text that is none is refused where the image is prepared. */
function isInRegistry(image: string): boolean {
  try {
    return parseReference(image).kind === 'registry'
  } catch {
    return false
  }
}

const lost = (how: string) =>
  new ImageError('IMAGE_CREDENTIAL_LOST', `registry_credential ${how}: send it again`, { field: 'registry_credential' })
