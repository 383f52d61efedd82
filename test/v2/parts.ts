// What runs in the machine, and where it leaves what it found.

import type { Part } from './result.js'

const command = '/suite/dist/client/command/main.js'
export const results = '/results'

/** Emulated code takes 10 to 20 times as long. */
const slowness = 15

export interface Step {
  part: Part
  args: string[]
  env: Record<string, string>
}

/** `only`: a word of the names of cases or attacks. */
export function steps(part: string | undefined, only: string | undefined): Step[] {
  const report = (name: string, file: string) => [`--test-reporter=${name}`, `--test-reporter-destination=${file}`]
  const pattern = only === undefined ? [] : [`--test-name-pattern=${only}`]
  const reports = (part: Part) => [...report('spec', 'stdout'), ...report('tap', `${results}/${part}.tap`)]
  const all: Step[] = [
    { part: 'doctor', args: [command, 'doctor'], env: {} },
    {
      part: 'labels',
      args: ['--test', ...reports('labels'), ...pattern, '/suite/dist/test/system/labels.test.js'],
      env: { CAISSON_TEST_SLOWNESS: String(slowness) },
    },
    {
      part: 'behaviours',
      args: ['--test', ...reports('behaviours'), ...pattern, '/suite/dist/test/backends/backends.test.js'],
      env: { CAISSON_TEST_BACKEND: 'container', CAISSON_TEST_SLOWNESS: String(slowness), CAISSON_TEST_INPUT_MIB: '32' },
    },
    {
      part: 'attack',
      args: [
        command,
        'doctor',
        '--attack',
        '--backend',
        'container',
        '--patience',
        String(slowness),
        ...(only === undefined ? [] : ['--only', only]),
      ],
      env: {},
    },
  ]
  return all.filter((step) => part === undefined || step.part === part)
}
