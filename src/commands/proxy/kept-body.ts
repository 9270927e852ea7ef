import { Transform } from 'node:stream';

/** A request body on its way, of which a copy is kept as long as it is small. */
export class KeptBody extends Transform {
  readonly #maxBytes: number;
  #chunks: Buffer[] | undefined = [];
  #bytes = 0;
  #isWhole = false;

  constructor(maxBytes: number) {
    super();
    this.#maxBytes = maxBytes;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: (error: null, chunk: Buffer) => void): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) this.#chunks = undefined;
    else this.#chunks?.push(chunk);
    done(null, chunk);
  }

  override _flush(done: () => void): void {
    this.#isWhole = true;
    done();
  }

  /** All of it; undefined where it was too long, or has not all come. */
  get whole(): Buffer | undefined {
    return this.#isWhole && this.#chunks !== undefined ? Buffer.concat(this.#chunks) : undefined;
  }
}
