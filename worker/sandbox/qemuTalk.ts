// What QEMU is told after its start, word for word.
import { stateDescriptor } from './qemuArgs.js'
import type { Disks, Step } from './vmm.js'

const capabilities = (...names: string[]): Step => ({
  execute: 'migrate-set-capabilities',
  arguments: { capabilities: names.map((capability) => ({ capability, state: true })) },
})

/** From when the guest's agent opens its port, which is the last that it does before it waits for its host. Memory is shared, not sent. */
export const saving: readonly Step[] = [
  { event: 'VSERPORT_CHANGE', data: { id: 'agent', open: true } },
  capabilities('x-ignore-shared', 'events'),
  { execute: 'migrate-set-parameters', arguments: { 'max-bandwidth': 2 ** 40 } },
  { execute: 'getfd', arguments: { fdname: 'state' }, file: { state: true } },
  { execute: 'migrate', arguments: { uri: 'fd:state' } },
  { event: 'MIGRATION', data: { status: 'completed' }, unless: { status: 'failed' } },
]

/** It runs as soon as it has read its state. */
export const restoring: readonly Step[] = [
  capabilities('x-ignore-shared'),
  { execute: 'migrate-incoming', arguments: { uri: `fd:${stateDescriptor}` } },
]

/** The guest sees the new sizes when it looks again. */
export function attaching({ layerKeys, diskBytes, diskBytesPerSecond }: Disks): Step[] {
  const layers = layerKeys.flatMap((layer, index) => [
    ...opening(index + 1, { layer }, readOnly),
    exchange(index + 1, `file${index + 1}`, readOnly),
  ])
  const slow = diskBytesPerSecond === undefined ? [] : slowing(diskBytesPerSecond)
  const behind = diskBytesPerSecond === undefined ? 'file0' : 'slow0'
  return [...opening(0, { scratchBytes: diskBytes }, writable), ...slow, exchange(0, behind, writable), ...layers]
}

const readOnly = { 'read-only': true }
const writable = { 'read-only': false, discard: 'unmap' }

function opening(disk: number, file: { layer: string } | { scratchBytes: number }, access: object): Step[] {
  const filename = `/dev/fdset/${disk}`
  return [
    { execute: 'add-fd', arguments: { 'fdset-id': disk }, file },
    { execute: 'blockdev-add', arguments: { driver: 'file', 'node-name': `file${disk}`, filename, locking: 'off', ...access } },
  ]
}

/** Disk 0 at the rate that the run was given. */
function slowing(bytesPerSecond: number): Step[] {
  const limits = { 'bps-read': bytesPerSecond, 'bps-write': bytesPerSecond }
  return [
    { execute: 'object-add', arguments: { 'qom-type': 'throttle-group', id: 'rate', limits } },
    {
      execute: 'blockdev-add',
      arguments: { driver: 'throttle', 'node-name': 'slow0', 'throttle-group': 'rate', file: 'file0', ...writable },
    },
  ]
}

const exchange = (disk: number, file: string, access: object): Step => ({
  execute: 'blockdev-reopen',
  arguments: { options: [{ driver: 'raw', 'node-name': `disk${disk}`, file, ...access }] },
})
