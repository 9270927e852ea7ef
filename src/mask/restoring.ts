/** Puts the values of a request back in its answer: once that is masked, asked the rules about and recorded. */
import type { BodyMasker } from './contract.ts';
import type { Restored } from './pseudonyms.ts';

export class Restoring {
  private readonly body: BodyMasker;
  private readonly restored: Restored;

  /** `body`: reads what leaves, with the maskers of `restored`. */
  constructor(body: BodyMasker, restored: Restored) {
    this.body = body;
    this.restored = restored;
  }

  /** Detector id → values put back so far. */
  get counts(): ReadonlyMap<string, number> {
    return this.restored.counts;
  }

  /** `last`: nothing comes after it. */
  push(bytes: Buffer, last: boolean): Buffer | Promise<Buffer> {
    if (last) return this.pushLast(bytes);
    const released = this.body.push(bytes);
    return released instanceof Promise ? released.then((later) => later.bytes) : released.bytes;
  }

  /** The last of an answer that breaks off, with what was held back of it. */
  async cutOff(bytes: Buffer): Promise<Buffer> {
    const first = await this.body.push(bytes);
    return Buffer.concat([first.bytes, await this.body.salvage()]);
  }

  private async pushLast(bytes: Buffer): Promise<Buffer> {
    const first = await this.body.push(bytes);
    return Buffer.concat([first.bytes, (await this.body.end()).bytes]);
  }
}
