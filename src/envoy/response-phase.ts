/** The response's headers: how the body is read, what passes, and Envoy's own replies. */
import type { Plan } from '../checkpoint/stages.ts';
import { Delivered } from './delivered.ts';
import { CONTINUE_RESPONSE_HEADERS, encodeResponseHeaders } from './encode.ts';
import type { GateStream } from './gate-stream.ts';
import { readHead } from './response.ts';
import { ResponseRules } from './response-rules.ts';
import { NOTHING_DELIVERED } from './sessions.ts';
import { localReplyCode, NO_REQUEST, ownHeaders, provesNotSent, withMasking } from './stream-reading.ts';
import { attributeStrings, decodeHeaderMap, type ProcessingRequest } from './wire.ts';

export function responseHeaders(stream: GateStream, message: ProcessingRequest): Promise<void> | undefined {
  const attributes = attributeStrings(message.attributes);
  const details = attributes.get('response.code_details');
  const local = details !== undefined && details !== '' && details !== 'via_upstream';
  const { plan } = stream;
  if (local) return localReply(stream, details, message, plan);
  if (plan === undefined) return stream.refusePlan('missing', message);
  const unkept = stream.masking?.refusal(attributes.get('xds.cluster_name'));
  if (unkept !== undefined) return stream.refuseOpened(unkept, plan);
  stream.phase = 'response';
  const passesOpaque = plan.opaque && plan.mask.length === 0;
  const head = readHead(decodeHeaderMap(message.headerMap), message.endOfStream, passesOpaque);
  stream.head = head;
  const { recorder, nowMs } = stream.options;
  recorder.event({
    at: nowMs(),
    cluster: plan.cluster,
    contentType: head.reading.ok ? head.mediaType : 'other',
    request: plan.request,
    session: plan.session,
    status: head.status,
    type: 'response',
  });
  if (!head.reading.ok) return stream.refuseResponse(head.reading.code, plan);
  const ruled = stream.watched && new ResponseRules(stream.watched, head, plan.mask, plan.operators?.response);
  stream.rules = ruled;
  const stop = ruled?.atHeaders() ?? (message.endOfStream ? ruled?.atEnd(undefined, 0) : undefined);
  if (stop !== undefined) return stream.stop(stop, plan);
  const ruling = ruled === undefined ? plan : withMasking(plan, ruled.mask, ruled.operators);
  if (head.reading.framing === 'opaque' && ruling.mask.length > 0)
    return stream.refuseResponse('response_type_refused', plan);
  const answer = encodeResponseHeaders([...head.set, ...ownHeaders(plan)], head.remove);
  if (message.endOfStream) return stream.afterDurable(answer);
  stream.body = stream.options.openBody(ruling, head.reading.framing, {
    asks: ruled?.asksToolCalls ?? 'none',
    pseudonyms: stream.masking?.pseudonyms,
  });
  stream.delivered = new Delivered(plan, stream.body, recorder, nowMs);
  return stream.pass(answer);
}

/** Envoy's own reply: there is no model text in it. A session that was let through ends here; others begin and end. */
function localReply(
  stream: GateStream,
  details: string,
  message: ProcessingRequest,
  plan: Plan | undefined,
): undefined {
  const { options } = stream;
  stream.phase = 'local_reply';
  options.observe.localReply(details);
  // The request gate's own answer.
  if (plan === undefined && details === 'ext_authz_denied') return stream.pass(CONTINUE_RESPONSE_HEADERS);
  const { status } = readHead(decodeHeaderMap(message.headerMap), message.endOfStream);
  const code = localReplyCode(details);
  const session = plan?.session ?? options.newSession();
  if (plan !== undefined)
    options.sessions.end(
      session,
      stream.ending({ ...NOTHING_DELIVERED, how: 'local_reply', code, status, notSent: provesNotSent(details) }),
    );
  else options.record({ session, code, status, detail: details.slice(0, 200), request: NO_REQUEST });
  return stream.pass(encodeResponseHeaders([['x-sallyport-session', session]], []));
}
