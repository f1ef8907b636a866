package s3

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/stsbackup/stsbackup/storage"
)

// proof is what lets the server check the data, besides the signed SHA-256.
type proof int32

// The proofs, in the order in which they are tried. Services that do not know checksum headers refuse a PUT with one.
// Some of them want Content-MD5 where objects are locked, and a few know neither.
const (
	crcProof proof = iota
	md5Proof
	noProof
)

// Put implements storage.Bucket.
func (b *Bucket) Put(ctx context.Context, name string, data []byte) error {
	return b.PutPaced(ctx, name, data, nil)
}

// PutPaced implements storage.PacedPutter.
func (b *Bucket) PutPaced(ctx context.Context, name string, data []byte, pace storage.Pace) error {
	c := call{"put", name, actionPut}
	if err := b.check(c); err != nil {
		return err
	}
	sum := storage.Sum(ctx, data)
	p := put{bucket: b, name: name, data: data, sum: hex.EncodeToString(sum[:]), pace: pace, proof: proof(b.proof.Load())}
	tried := map[proof]bool{}
	return b.try(ctx, c, func(ctx context.Context) error {
		for {
			err := p.once(ctx)
			next, other := instead(p.proof, minio.ToErrorResponse(err), b.accepted.Load())
			if err == nil && len(tried) > 0 {
				b.proof.Store(int32(p.proof)) // later PUTs begin with it
			}
			if !other || tried[next] || ctx.Err() != nil {
				return err
			}
			tried[p.proof] = true
			p.proof = next
		}
	})
}

// put stores one object.
type put struct {
	bucket *Bucket
	name   string
	data   []byte
	sum    string
	pace   storage.Pace
	proof  proof
	broken bool // the last connection broke
}

// once makes one request.
func (p *put) once(ctx context.Context) error {
	b := p.bucket
	if p.broken {
		ctx = withConsent(ctx)
	}
	options := minio.PutObjectOptions{
		// The body is signed as a whole, by its SHA-256, rather than chunk by chunk: every service understands that.
		DisableContentSha256: true,
	}
	md5Sum := ""
	switch p.proof {
	case crcProof:
		crc := binary.BigEndian.AppendUint32(nil, crc32.Checksum(p.data, crc32.MakeTable(crc32.Castagnoli)))
		options.UserMetadata = map[string]string{"x-amz-checksum-crc32c": base64.StdEncoding.EncodeToString(crc)}
	case md5Proof:
		sum := md5.Sum(p.data)
		md5Sum = base64.StdEncoding.EncodeToString(sum[:])
	}
	ctx, dog := watch(ctx, b.stall)
	defer dog.release()
	body := &upload{ctx: ctx, dog: dog, pace: p.pace, answer: b.small, data: p.data}
	defer body.revoke()
	_, err := b.client.PutObject(ctx, b.config.Bucket, p.name, body, int64(len(p.data)), md5Sum, p.sum, options)
	p.broken = minio.ToErrorResponse(err).StatusCode == 0
	return cause(ctx, err)
}

// instead says which proof to try after a refusal, and whether another try makes sense. accepted says that the keys
// have worked before: then a signature may be wrong because the service signs without headers that it does not know.
func instead(p proof, r minio.ErrorResponse, accepted bool) (next proof, other bool) {
	switch {
	case r.StatusCode < 400:
		return p, false
	case r.StatusCode < 500 && p != md5Proof && strings.Contains(strings.ToLower(r.Code+r.Message), "md5"):
		return md5Proof, true
	case p == noProof, strings.HasPrefix(r.Code, "EntityToo"):
		return p, false
	case r.Code == "SignatureDoesNotMatch" && accepted,
		(r.StatusCode == http.StatusBadRequest || r.StatusCode == http.StatusNotImplemented) && meaningOf(r) == unknown:
		return p + 1, true
	}
	return p, false
}
