/**
 * A body that cannot be read strictly, so that nobody can say what a client would read in it: `response_unreadable`.
 * The reason never quotes the body.
 */
export class UnreadableBody extends Error {
  override readonly name = 'UnreadableBody';
  readonly code = 'response_unreadable';
}
