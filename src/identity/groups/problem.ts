/** Why groups cannot be had. `message` is for the record: our own words and the service's error code, nothing of anybody's claims. */
export class GroupsProblem extends Error {
  override readonly name = 'GroupsProblem';
  readonly code = 'groups_problem';
  /** Whether it may be answered again for a few seconds; false where only our own queue was full. */
  readonly mayBeKept: boolean;

  constructor(message: string, options: { readonly cause?: unknown; readonly mayBeKept?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.mayBeKept = options.mayBeKept ?? true;
  }
}
