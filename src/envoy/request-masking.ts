/**
 * Masks one request before the model sees it (`mask` with `on: request`). Envoy is told to hand over the whole body, and
 * ignores that where it was not told to allow it; so until the masked body is there, no cluster is named and the request
 * has no route.
 */
import type { Plan } from '../checkpoint/stages.ts';
import type { MaskedRequest } from '../mask/bodies.ts';
import { encodeRequestBody } from './encode.ts';
import { UPSTREAM_HEADER } from './forward.ts';
import type { GrpcMessage } from './grpc.ts';

export class RequestMasking {
  /** Detector id → count masked; undefined as long as the body is not. */
  masked: ReadonlyMap<string, number> | undefined;
  /** What stands for values of the request, to be put back in its answer. */
  pseudonyms: MaskedRequest['pseudonyms'];
  private came = false;
  private readonly plan: Plan;
  private readonly mask: (plan: Plan, body: Buffer) => MaskedRequest | Promise<MaskedRequest>;

  constructor(plan: Plan, mask: RequestMasking['mask']) {
    this.plan = plan;
    this.mask = mask;
  }

  /** The answer to the request's body. Rejects with UnreadableBody for one that the masker, stricter than the reader, refuses. */
  async answer(body: Buffer): Promise<GrpcMessage> {
    if (this.came) throw new Error('the body of a request came in pieces');
    this.came = true;
    const { masked, findings, pseudonyms } = await this.mask(this.plan, body);
    this.masked = findings;
    this.pseudonyms = pseudonyms;
    return encodeRequestBody(
      [
        ['content-length', String(masked.length)],
        [UPSTREAM_HEADER, this.plan.cluster],
      ],
      masked,
    );
  }

  /** Why the answer of a model must not pass; `cluster`: attribute `xds.cluster_name`, which there was none of before. */
  refusal(cluster: string | undefined): 'unmasked' | 'other_cluster' | undefined {
    if (this.masked === undefined) return 'unmasked';
    return cluster === this.plan.cluster ? undefined : 'other_cluster';
  }
}
