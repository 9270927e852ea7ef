/** Why a repository gives no policies, in our own words; `file` is where below the policy folder, where it is a file. */
export class GitProblem extends Error {
  override readonly name = 'GitProblem';
  readonly file: string | undefined;
  constructor(message: string, file?: string) {
    super(message);
    this.file = file;
  }
}
