package gossip

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
)

// The wire format of the two stream protocols. Numbers are big-endian, digests and
// keys their raw bytes; a digest of zeros stands for none.
//
// A fetch is up to 64 requests (version, key, wanted digest, held digest), sent without
// waiting, and in their order as many answers (status, and after statusOK a length and
// the update).
//
// A comparison is a conversation of frames (kind, length, payload) between the side
// that begins (A) and the side that answers (B):
//
//	A→B hello    version, digest of all refs, A's own head (or nothing)
//	B→A hello    the same of B; the conversation ends here if the digests are equal
//	A→B buckets  a digest of the refs in each of 256 buckets by first byte of the key
//	B→A refs…    B's refs of the buckets that differ; the bitmap of those comes first
//	A→B heads…   what A knows better, then asks (keys) for what B does, then done
//	B→A heads…   the heads asked for, then done
//
// done carries one byte: 1 if a bound cut something off that the next comparison brings.
const (
	wireVersion = 1

	frameHello   = 1
	frameBuckets = 2
	frameDiffer  = 3
	frameRefs    = 4
	frameHeads   = 5
	frameAsks    = 6
	frameDone    = 7

	statusOK      = 0
	statusUnknown = 1 // the peer does not have what was asked for
	statusBusy    = 2 // a limit is reached: ask later or elsewhere

	keySize       = 32
	digestSize    = 32
	bucketCount   = 256
	bucketSize    = 16 // bytes of a bucket's digest
	refSize       = keySize + 8 + digestSize + 1
	refsPerFrame  = 512
	headsPerFrame = 16
	asksPerFrame  = 512

	maxFetches    = 64
	requestSize   = 1 + keySize + 2*digestSize
	maxFrameBytes = headsPerFrame * (2 + catalog.MaxHeadBytes)
	maxHello      = 1 + digestSize + catalog.MaxHeadBytes
)

// errWire is what every decoder's error wraps: the peer breaks the format.
var errWire = errors.New("gossip: malformed message on a stream")

// frameBound is the longest payload of each kind.
var frameBound = map[byte]int{
	frameHello:   maxHello,
	frameBuckets: bucketCount * bucketSize,
	frameDiffer:  bucketCount / 8,
	frameRefs:    refsPerFrame * refSize,
	frameHeads:   maxFrameBytes,
	frameAsks:    asksPerFrame * keySize,
	frameDone:    1,
}

type digest [digestSize]byte

// text is the digest as the catalogue writes it, "" for none.
func (d digest) text() string {
	if d == (digest{}) {
		return ""
	}
	return hex.EncodeToString(d[:])
}

func digestOf(text string) (d digest) {
	if len(text) == 2*digestSize {
		if _, err := hex.Decode(d[:], []byte(text)); err != nil {
			return digest{}
		}
	}
	return d
}

func writeFrame(w io.Writer, kind byte, payload []byte) error {
	b := make([]byte, 0, 5+len(payload))
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	_, err := w.Write(append(b, payload...))
	return err
}

// readFrame reads one frame of one of the kinds that may come now.
func readFrame(r io.Reader, kinds ...byte) (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	kind = head[0]
	if !bytes.Contains(kinds, head[:1]) {
		return 0, nil, fmt.Errorf("%w: frame of kind %d where %v may come", errWire, kind, kinds)
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > uint32(frameBound[kind]) {
		return 0, nil, fmt.Errorf("%w: frame of kind %d has %d bytes, at most %d are allowed", errWire, kind, n, frameBound[kind])
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, fmt.Errorf("reading a frame: %w", err)
	}
	return kind, payload, nil
}

// hello opens a comparison.
type hello struct {
	root digest
	head []byte // the sender's own head; empty if it has none yet
}

func (h hello) encode() []byte {
	b := append([]byte{wireVersion}, h.root[:]...)
	return append(b, h.head...)
}

func decodeHello(p []byte) (h hello, err error) {
	if len(p) < 1+digestSize || len(p) > maxHello {
		return h, fmt.Errorf("%w: a hello has %d bytes", errWire, len(p))
	}
	if p[0] != wireVersion {
		return h, fmt.Errorf("%w: the peer speaks version %d, this hub %d", errWire, p[0], wireVersion)
	}
	h.root = digest(p[1 : 1+digestSize])
	h.head = p[1+digestSize:]
	return h, nil
}

// ref is one hub's state in a comparison.
type ref struct {
	key      identity.PublicKey
	sequence uint64
	digest   digest // of the newest head's listing
	held     bool   // that listing is in effect
}

func appendRef(b []byte, r ref) []byte {
	b = append(b, r.key[:]...)
	b = binary.BigEndian.AppendUint64(b, r.sequence)
	b = append(b, r.digest[:]...)
	if r.held {
		return append(b, 1)
	}
	return append(b, 0)
}

func decodeRefs(p []byte) ([]ref, error) {
	if len(p)%refSize != 0 || len(p) > refsPerFrame*refSize {
		return nil, fmt.Errorf("%w: %d bytes are no list of refs", errWire, len(p))
	}
	list := make([]ref, 0, len(p)/refSize)
	for ; len(p) > 0; p = p[refSize:] {
		r := ref{key: identity.PublicKey(p[:keySize]), sequence: binary.BigEndian.Uint64(p[keySize:]), digest: digest(p[keySize+8 : refSize-1])}
		switch p[refSize-1] {
		case 0:
		case 1:
			r.held = true
		default:
			return nil, fmt.Errorf("%w: a ref's flag is %d", errWire, p[refSize-1])
		}
		list = append(list, r)
	}
	return list, nil
}

func appendHead(b, raw []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(raw)))
	return append(b, raw...)
}

func decodeHeads(p []byte) (list [][]byte, err error) {
	for len(p) > 0 {
		if len(p) < 2 || len(list) >= headsPerFrame {
			return nil, fmt.Errorf("%w: a list of heads does not end where it says", errWire)
		}
		n := int(binary.BigEndian.Uint16(p))
		if p = p[2:]; n == 0 || n > catalog.MaxHeadBytes || n > len(p) {
			return nil, fmt.Errorf("%w: a head of %d bytes", errWire, n)
		}
		list = append(list, p[:n:n])
		p = p[n:]
	}
	return list, nil
}

func decodeAsks(p []byte) ([]identity.PublicKey, error) {
	if len(p)%keySize != 0 || len(p) > asksPerFrame*keySize {
		return nil, fmt.Errorf("%w: %d bytes are no list of keys", errWire, len(p))
	}
	list := make([]identity.PublicKey, 0, len(p)/keySize)
	for ; len(p) > 0; p = p[keySize:] {
		list = append(list, identity.PublicKey(p[:keySize]))
	}
	return list, nil
}

func decodeDone(p []byte) (more bool, err error) {
	if len(p) != 1 || p[0] > 1 {
		return false, fmt.Errorf("%w: a comparison ends with %d bytes", errWire, len(p))
	}
	return p[0] == 1, nil
}

// request asks for one listing.
type request struct {
	key  identity.PublicKey
	want digest // none: the newest there is
	have digest // none: all of it
}

func (r request) encode() []byte {
	b := append([]byte{wireVersion}, r.key[:]...)
	b = append(b, r.want[:]...)
	return append(b, r.have[:]...)
}

func decodeRequest(p []byte) (r request, err error) {
	if len(p) != requestSize || p[0] != wireVersion {
		return r, fmt.Errorf("%w: no request of version %d", errWire, wireVersion)
	}
	p = p[1:]
	return request{identity.PublicKey(p[:keySize]), digest(p[keySize : keySize+digestSize]), digest(p[keySize+digestSize:])}, nil
}

// readAnswer reads the answer to a request. Memory grows with what arrives, not with
// what was promised; promised is called with the length before it is read.
func readAnswer(r io.Reader, promised func(n int) error) (status byte, update []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return 0, nil, fmt.Errorf("reading an answer's status: %w", err)
	}
	switch head[0] {
	case statusUnknown, statusBusy:
		return head[0], nil, nil
	case statusOK:
	default:
		return 0, nil, fmt.Errorf("%w: status %d", errWire, head[0])
	}
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return 0, nil, fmt.Errorf("reading an answer's length: %w", err)
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n == 0 || n > catalog.MaxUpdateBytes {
		return 0, nil, fmt.Errorf("%w: a listing of %d bytes, at most %d are allowed", errWire, n, catalog.MaxUpdateBytes)
	}
	if err := promised(int(n)); err != nil {
		return 0, nil, err
	}
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r, int64(n)); err != nil {
		return 0, nil, fmt.Errorf("reading %d of %d bytes of a listing: %w", body.Len(), n, err)
	}
	return statusOK, body.Bytes(), nil
}

func appendAnswer(status byte, update []byte) []byte {
	b := []byte{status}
	if status != statusOK {
		return b
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(update)))
	return append(b, update...)
}
