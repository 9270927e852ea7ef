/** The ext_authz edge: a CheckRequest becomes a GateRequest, an Answer becomes a CheckResponse. */
import type { Answer, GateRequest, Header, RefuseStage, Reply, RequestHead } from '../checkpoint/stages.ts';
import type { Checkpoint } from '../checkpoint.ts';
import type { ErrorCode } from '../exchange/errors.ts';
import { createPeerReader, isSpiffeId } from './certificate.ts';
import { encodeForward } from './encode.ts';
import { type GrpcCall, grpcStatus } from './grpc.ts';
import { type PlanKeys, sealPlan } from './plan.ts';
import { encodeCheckResponse } from './services.ts';
import { decodeStruct } from './struct.ts';
import type { CheckRequest } from './wire.ts';

export interface AuthzOptions {
  readonly checkpoint: Checkpoint;
  readonly planKeys: PlanKeys;
  readonly refuse: RefuseStage;
  readonly newSession: () => string;
  /** Whether mTLS peers may call without a token (`identity.peers.allow`). */
  readonly takesPeers: boolean;
  readonly observe: AuthzObserver;
  /** Puts a refusal that no stage made on the record. */
  readonly record: (refusal: EdgeRefusal) => void;
  /** A yes that could not be handed to Envoy (it went away): the session ends as `client_gone`. */
  readonly abandoned: (session: string) => void;
}

/** A request that was refused at the edge, before or behind the checkpoint. */
export interface EdgeRefusal {
  readonly session: string;
  /** Row of the error table; empty for a reply of Envoy's that is none of ours. */
  readonly code: ErrorCode | '';
  readonly status: number;
  /** For the record, not for the caller. */
  readonly detail: string;
  readonly request: RequestHead;
}

export interface AuthzObserver {
  /** `code`: `forward` for a yes, `ok` where the gate itself answered, else a row of the error table. */
  answered(code: 'forward' | Reply['code'], seconds: number): void;
  misconfigured(field: string, session: string): void;
  broken(error: unknown): void;
}

/** google.rpc.Code → what Envoy does with it: anything but OK denies. */
const PERMISSION_DENIED = 7;

export function createAuthz(options: AuthzOptions): (check: CheckRequest, call: GrpcCall) => void {
  const peerOf = createPeerReader();
  return (check, call) => {
    const started = performance.now();
    const send = (answer: Answer): void => {
      const code = answer.kind === 'forward' ? 'forward' : answer.code;
      options.observe.answered(code, (performance.now() - started) / 1000);
      // Envoy resets the stream before the answer when the client has gone.
      if (call.gone && answer.kind === 'forward') options.abandoned(answer.plan.session);
      if (code === 'token_missing' && options.takesPeers && isUnprovenPeer(check))
        options.observe.misconfigured('include_peer_certificate', answer.kind === 'reply' ? answer.session : '');
      call.answer(answer.kind === 'forward' ? encodeYes(answer, options.planKeys) : encodeReply(answer));
      answer.afterwards?.();
    };
    const field = misconfiguration(check);
    const request = gateRequest(check, peerOf(check));
    if (field !== undefined) return send(misconfigured(options, field, request));
    // The checkpoint answers its own failures, so a rejection is a bug in it. Non-OK: Envoy denies with status_on_error.
    options
      .checkpoint({ ...request, cancelled: () => call.gone })
      .then(send)
      .catch((error: unknown) => {
        options.observe.broken(error);
        call.fail({ code: grpcStatus.internal, details: 'the gate failed' });
      });
  };
}

function encodeYes(answer: Extract<Answer, { kind: 'forward' }>, keys: PlanKeys): Buffer {
  return encodeForward({
    setHeaders: answer.setHeaders,
    removeHeaders: answer.removeHeaders,
    responseHeaders: answer.responseHeaders,
    plan: sealPlan(answer.plan, keys),
  });
}

function encodeReply(answer: Reply): Buffer {
  return encodeCheckResponse({
    status: { code: PERMISSION_DENIED },
    denied_response: {
      status: { code: answer.status },
      headers: answer.headers.map(([key, value]: Header) => ({ header: { key, value }, append_action: 2 })),
      body: answer.body,
    },
  });
}

/** Envoy was told to send less than the gate needs: names the field of its config. */
export function misconfiguration(check: CheckRequest): string | undefined {
  const header = (name: string): string | undefined => check.headers.find(([key]) => key === name)?.[1];
  if (check.method === '') return 'attributes.request.http (the Check is empty)';
  if (check.bodyAsString) return 'with_request_body.pack_as_bytes';
  if (header('x-envoy-auth-partial-body') === 'true') return 'with_request_body.allow_partial_message';
  if (header('x-request-id') === undefined) return 'generate_request_id';
  const length = Number(header('content-length') ?? '0');
  if (length > 0 && check.body.length === 0) return 'with_request_body';
  if (length > 0 && check.body.length !== length) return 'with_request_body.max_request_bytes';
  return undefined;
}

function misconfigured(options: AuthzOptions, field: string, request: GateRequest): Reply {
  const session = options.newSession();
  const code: ErrorCode = 'envoy_misconfigured';
  options.observe.misconfigured(field, session);
  const answer = options.refuse({ code, message: `envoy_misconfigured: ${field}`, session });
  options.record({ session, code, status: answer.status, detail: field, request });
  return { kind: 'reply', session, code, ...answer };
}

/** Envoy names a SPIFFE id but does not show the certificate, so nobody can say whether it is one. */
function isUnprovenPeer(check: CheckRequest): boolean {
  return check.sourceCertificate === '' && isSpiffeId(check.sourcePrincipal);
}

function gateRequest(check: CheckRequest, peer: string): GateRequest {
  const { jwtAuthn } = check;
  return {
    method: check.method,
    path: check.path,
    host: check.host,
    headers: check.headers,
    joined: !check.rawHeaders,
    body: check.body,
    clientAddress: check.sourceAddress,
    namedModel: check.contextExtensions.get('sallyport.model'),
    peer,
    jwtAuthn: jwtAuthn === undefined ? undefined : () => decodeStruct(jwtAuthn),
  };
}
