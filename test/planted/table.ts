// Removals × programs, for the docs.

import type { Removal } from './removals.js'

export interface Noticed {
  removal: Removal
  by: string[]
  /** Nobody ran as it has to. */
  all: boolean
  /** What they say. */
  why: string[]
  /** Why no sandbox started; empty: they did. */
  stopped: string
}

export function table(rows: Noticed[]): string {
  const lines = rows.map(({ removal, ...noticed }) => `| ${quoted(removal.wall.split(','))} | ${said(removal, noticed)} |`)
  return `| left out | noticed by |\n| --- | --- |\n${lines.join('\n')}\n`
}

function said({ behind }: Removal, { by, all, stopped }: Omit<Noticed, 'removal'>): string {
  if (stopped) return `the launcher: no sandbox starts (${stopped})`
  if (all) return 'all: no program is started'
  if (by.length > 0) return quoted(by)
  return `nobody, for behind it stands ${behind}`
}

const quoted = (words: string[]) => words.map((word) => `\`${word}\``).join(' ')
