// A member of the mesh that shares no line with this program: js-libp2p. It joins by the
// hub's multiaddr (HUB_ADDR), waits for a head on the announcements topic, verifies its
// signature with node's own crypto, passes on nothing, and reads the discovery document
// over a libp2p stream. It prints one line of JSON for each thing that held.
import { createPublicKey, verify } from 'node:crypto'
import { polyfill } from './polyfill.mjs'
polyfill()
const { createLibp2p } = await import('libp2p')
const { tcp } = await import('@libp2p/tcp')
const { noise } = await import('@chainsafe/libp2p-noise')
const { yamux } = await import('@chainsafe/libp2p-yamux')
const { identify } = await import('@libp2p/identify')
const { gossipsub } = await import('@libp2p/gossipsub')
const { multiaddr } = await import('@multiformats/multiaddr')
const { sha256 } = await import('multiformats/hashes/sha2')

const topic = process.env.TOPIC ?? '/aimarket/2/announce'
const say = (o) => console.log(JSON.stringify(o))
const fail = (why) => { say({ failed: why }); process.exit(1) }
setTimeout(() => fail('nothing arrived within 60 s'), 60_000).unref()

const node = await createLibp2p({
  addresses: { listen: [] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    pubsub: gossipsub({
      allowPublishToZeroTopicPeers: true,
      globalSignaturePolicy: 'StrictNoSign',
      msgIdFn: async (m) => (await sha256.digest(Buffer.concat([Buffer.from(m.topic), Buffer.of(0), m.data]))).digest
    })
  }
})

// canonical is compact JSON with keys in code point order, without the signature
// (federation notes §8, "any object"). Heads hold whole numbers only.
function canonical (v) {
  if (Array.isArray(v)) return '[' + v.map(canonical).join(',') + ']'
  if (v !== null && typeof v === 'object') {
    const keys = Object.keys(v).sort((a, b) => (a < b ? -1 : 1))
    return '{' + keys.map((k) => JSON.stringify(k) + ':' + canonical(v[k])).join(',') + '}'
  }
  return JSON.stringify(v)
}

function holds (head) {
  const { signature, ...rest } = head
  const key = Buffer.from(head.signer_public_key, 'base64')
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key])
  return signature.public_key === head.signer_public_key &&
    verify(null, Buffer.from(canonical(rest)), createPublicKey({ key: spki, format: 'der', type: 'spki' }), Buffer.from(signature.value, 'base64'))
}

const head = new Promise((resolve) => {
  node.services.pubsub.addEventListener('message', (e) => {
    const m = e.detail
    if (m.topic !== topic) return
    const doc = JSON.parse(Buffer.from(m.data).toString('utf8'))
    const announced = doc.announcement ?? doc
    if (announced.type === 'hub_head') resolve(announced)
  })
})
node.services.pubsub.subscribe(topic)
const connection = await node.dial(multiaddr(process.env.HUB_ADDR))
say({ joined: connection.remotePeer.toString() })

const got = await head
if (!holds(got)) fail('the signature of the head does not verify')
const forged = { ...got, hub_name: got.hub_name + '!' }
if (holds(forged)) fail('a changed head verifies')
say({ head: got.hub_name, sequence: got.sequence, capabilities: got.capabilities_count, verified: true })

// HTTP over a stream: one request, answered with the connection's end.
const stream = await node.dialProtocol(connection.remotePeer, '/aimarket/2/http')
const text = 'GET /.well-known/ai-market.json HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n'
stream.send(new TextEncoder().encode(text))
let answer = Buffer.alloc(0)
for await (const chunk of stream) {
  answer = Buffer.concat([answer, Buffer.from(chunk.subarray())])
  if (complete(answer)) break
}
function complete (b) {
  const s = b.toString('latin1')
  const end = s.indexOf('\r\n\r\n')
  if (end < 0) return false
  const length = /content-length: (\d+)/i.exec(s.slice(0, end))
  return length !== null && b.length >= end + 4 + Number(length[1])
}
const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4).toString('utf8')
const discovery = JSON.parse(body)
if (discovery.signer_public_key !== got.signer_public_key) fail('the discovery document names another key than the head')
say({ discovery: discovery.name, over: 'libp2p stream' })
await node.stop()
process.exit(0)
