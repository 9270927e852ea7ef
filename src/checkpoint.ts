/** The request gate, stage by stage. (Contracts first; the stages follow.) */

/** What the request gate hands to the response gate, sealed (HMAC-SHA256) in Envoy's dynamic metadata. */
export interface Plan {
  readonly session: string;
  readonly format: string;
  readonly stream: boolean;
  /** Detector ids to mask in what is delivered. */
  readonly mask: readonly string[];
  /** Envoy cluster of the model version that the gate picked. */
  readonly cluster: string;
  /** Envoy's request.id. */
  readonly requestId: string;
  /** Epoch milliseconds. */
  readonly issuedAtMs: number;
  readonly revision: string;
  readonly request: { readonly writer: string; readonly leaf: number };
}
