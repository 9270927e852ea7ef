/**
 * Why a repository gives no policies, in our own words; `file` is where below the policy folder, where it is a file. What a
 * repository or its server says may be in it, shortened and on one line.
 */
export class GitProblem extends Error {
  override readonly name = 'GitProblem';
  readonly file: string | undefined;
  constructor(message: string, file?: string) {
    super(plain(message, 1000));
    this.file = file === undefined ? undefined : plain(file, 200);
  }
}

/** Without control characters and what changes the direction of writing: it is shown in a terminal. */
function plain(text: string, maxLength: number): string {
  const shown = text.toWellFormed().replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\ufffd');
  return shown.length <= maxLength ? shown : `${shown.slice(0, maxLength).toWellFormed()}…`;
}
