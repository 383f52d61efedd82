// The parsers of documents and names that come from outside.

import assert from 'node:assert/strict'
import { caisson } from '../../proto/messages.js'
import { InvalidReference, isDigest, parseReference } from '../../proto/reference.js'
import { registryText } from '../../proto/registry.js'
import { InvalidProfile, parseProfile } from '../../proto/seccomp.js'
import { parseConfig } from '../../worker/image/documents/config.js'
import { parseIndex, parseManifest } from '../../worker/image/documents/manifest.js'
import { ImageError } from '../../worker/image/failure.js'
import { digestOf, tarOf, types } from '../../worker/image/fixture.js'
import { parseChallenges } from '../../worker/image/registry/challenge.js'
import { indexTar } from '../../worker/image/sources/tar-index.js'
import type { Targets } from './targets.js'

const json = (value: unknown) => Buffer.from(JSON.stringify(value))
const [a, b] = [digestOf('a'), digestOf('b')]
const blob = (mediaType: string, digest: string) => ({ mediaType, digest, size: 10 })
const manifest = {
  schemaVersion: 2,
  config: blob(types.config, a),
  layers: [blob(types.layer, b), blob(`${types.layer}+gzip`, a)],
}
const platform = { os: 'linux', architecture: 'amd64', variant: 'v1' }
const index = {
  schemaVersion: 2,
  mediaType: types.index,
  manifests: [{ ...blob(types.manifest, a), platform, annotations: { x: 'y' } }],
}
const config = {
  ...platform,
  config: { Entrypoint: ['/a'], Cmd: ['b'], Env: ['A=b'], WorkingDir: '/w', User: '1:2', Labels: { l: 'm' } },
  rootfs: { type: 'layers', diff_ids: [a, b] },
  history: [{ created_by: 'x', empty_layer: true }, { created: '2024-01-01T00:00:00Z' }],
}

/** Nothing that was taken is of another kind than its type says, or names another file than a blob's. */
function checkDescriptors(descriptors: { digest: string; size: number }[]): void {
  for (const { digest, size } of descriptors) assert.ok(isDigest(digest) && Number.isSafeInteger(size) && size >= 0)
}

export async function documents(): Promise<Targets> {
  const tar = await tarOf([
    { name: 'manifest.json', data: '[]' },
    { name: 'd', type: 'directory' },
    { name: 'd/link', type: 'symlink', linkname: '../manifest.json' },
    { name: 'n'.repeat(150), data: 'x', pax: { comment: 'y', size: '1' } },
  ])
  return {
    manifest: {
      seeds: [json(manifest), json({ ...manifest, mediaType: types.manifest, annotations: {} })],
      mayThrow: ImageError,
      parse(bytes) {
        const parsed = parseManifest(bytes, { digest: a, mediaType: types.manifest, size: bytes.length })
        assert.ok(parsed.layers.length > 0)
        checkDescriptors([parsed.config, ...parsed.layers])
      },
    },
    index: {
      seeds: [json(index), json({ schemaVersion: 2, manifests: [] })],
      mayThrow: ImageError,
      parse: (bytes) => checkDescriptors(parseIndex(bytes, 'index', types.index)),
    },
    config: {
      seeds: [json(config), json({ rootfs: config.rootfs })],
      mayThrow: ImageError,
      parse(bytes) {
        const { diffIds, defaults } = parseConfig(bytes, a)
        assert.ok(diffIds.every((digest) => /^sha256:[0-9a-f]{64}$/.test(digest)))
        const { entrypoint, cmd, env, workingDir, user } = defaults
        for (const word of [...entrypoint, ...cmd, ...env, workingDir, user]) assert.ok(!word.includes('\0'))
      },
    },
    reference: {
      seeds: [
        'alpine',
        'host:5000/a/b:tag',
        `ghcr.io/x/y@${a}`,
        'oci:/images/a:t',
        `oci-archive:/a@${b}`,
        'docker-archive:/a:b:c',
      ].map((text) => Buffer.from(text)),
      mayThrow: InvalidReference,
      parse(bytes) {
        const reference = parseReference(bytes.toString())
        if (reference.kind !== 'registry') return
        // Written in full it means the same.
        assert.deepEqual(parseReference(registryText(reference)), reference)
      },
    },
    seccomp: {
      seeds: [
        json({
          defaultAction: 'SCMP_ACT_ALLOW',
          syscalls: [{ names: ['read', 'ptrace'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 }],
        }),
        json({
          defaultAction: 'SCMP_ACT_KILL_PROCESS',
          architectures: ['SCMP_ARCH_X86_64'],
          syscalls: [
            { names: ['execve'], action: 'SCMP_ACT_ALLOW' },
            {
              names: ['socket'],
              action: 'SCMP_ACT_ALLOW',
              args: [{ index: 0, value: 2, valueTwo: 2, op: 'SCMP_CMP_MASKED_EQ' }],
            },
          ],
        }),
      ],
      mayThrow: InvalidProfile,
      parse(bytes) {
        const text = bytes.toString()
        // It travels in a frame that has room for the text.
        assert.ok(caisson.agent.v1.Filter.encode(parseProfile(text)).finish().length <= Buffer.byteLength(text))
      },
    },
    challenge: {
      seeds: [
        'Bearer realm="https://a/token",service="s",scope="x:y:z"',
        'Basic realm="a\\"b", Bearer realm=b',
        'Negotiate abc==',
      ].map((text) => Buffer.from(text)),
      // None: what it cannot read it says by giving nothing.
      mayThrow: ImageError,
      parse(bytes) {
        for (const { scheme } of parseChallenges(bytes.toString('latin1')) ?? []) assert.equal(scheme, scheme.toLowerCase())
      },
    },
    'tar-index': {
      seeds: [tar, tar.subarray(0, 1536)],
      mayThrow: ImageError,
      async parse(bytes) {
        const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length)
        for (const member of (await indexTar(read, bytes.length)).values()) {
          if (member.kind === 'file')
            assert.ok(member.offset >= 0 && member.size >= 0 && member.offset + member.size <= bytes.length)
        }
      },
    },
  }
}
