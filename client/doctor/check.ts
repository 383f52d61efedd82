// One thing that a machine has or has not.

export interface Check {
  /** "redis-server" … */
  name: string
  /** Unknown: it could not be asked, which is no fault. */
  answer: 'yes' | 'no' | 'unknown'
  /** What was found, or why not. */
  detail: string
  /** With 'no': what to do about it. */
  remedy?: string
}

export const yes = (name: string, detail: string): Check => ({ name, answer: 'yes', detail })

export const no = (name: string, detail: string, remedy: string): Check => ({ name, answer: 'no', detail, remedy })

export const unknown = (name: string, detail: string): Check => ({ name, answer: 'unknown', detail })
