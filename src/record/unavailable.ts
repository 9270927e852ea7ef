/**
 * The journal takes nothing more; the gate answers 503.
 * - `journal_full`: the size limit is reached; opens again when the shipper has freed segments
 * - `journal_overloaded`: more waits in memory than `maxPendingBytes`; the disk does not keep up
 * - `journal_failed`: a write or fdatasync failed; stays so until a restart (what a failed fsync left on disk is unknown)
 * - `journal_closed`: this process is shutting down
 */
export class JournalUnavailable extends Error {
  readonly code: 'journal_full' | 'journal_overloaded' | 'journal_failed' | 'journal_closed';

  constructor(code: JournalUnavailable['code'], cause?: unknown) {
    super(`the journal is unavailable: ${code}`, cause === undefined ? undefined : { cause });
    this.name = 'JournalUnavailable';
    this.code = code;
  }
}

/** The journal folder cannot be opened. The gateway refuses to start. */
export class JournalRefused extends Error {
  readonly code: 'journal_locked' | 'journal_format_unsupported' | 'journal_unreadable';

  constructor(code: JournalRefused['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'JournalRefused';
    this.code = code;
  }
}
