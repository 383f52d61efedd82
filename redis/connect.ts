import type { Redis } from 'ioredis'

/**
 * patient: commands wait for Redis to come back, and those without an answer are sent again (workers, tails, BullMQ).
 * failFast: commands fail at once while Redis is away (gRPC calls, which answer UNAVAILABLE).
 */
export type Patience = 'patient' | 'failFast'

/** `address`: redis://…, rediss://…, unix:///PATH or an absolute path of a unix socket. `name` shows in CLIENT LIST. */
export declare function connect(address: string, name: string, patience: Patience): Redis
