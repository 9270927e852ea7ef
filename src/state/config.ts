import { z } from 'zod';

/** The `state:` section: control state, what replicas must agree on (approvals, grants, replay and revocation lists). */
export const stateSection = z.strictObject({
  file: z
    .string()
    .min(1)
    .default('control.db')
    .describe(
      'SQLite file of the control state, relative to the state folder. Made with mode 0600. Default `control.db`.',
    ),
  busyTimeoutMs: z
    .int()
    .min(1)
    .max(5000)
    .default(1000)
    .describe(
      'Milliseconds to wait for another process that writes to the same file; then the gate answers 503. Default 1000.',
    ),
});
