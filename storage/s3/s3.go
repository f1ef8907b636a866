package s3

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/stsbackup/stsbackup/internal/wait"
	"github.com/stsbackup/stsbackup/storage"
)

// awsEndpoint stands for all of AWS; minio-go finds the endpoint of the bucket's region.
const awsEndpoint = "https://s3.amazonaws.com"

// Bucket is a storage.Bucket in S3-compatible storage.
type Bucket struct {
	config      Config
	client      *minio.Core
	credentials *credentials.Credentials
	chain       *chain
	proxy       string // between us and the endpoint, for messages; "" if none

	// answered: something has answered at the endpoint, so its address is right.
	answered atomic.Bool
	// accepted: something has succeeded, so the credentials were good.
	accepted atomic.Bool
	// wrote: a Put has succeeded, so the credentials may write.
	wrote atomic.Bool
	// proof is what Puts carry so that the server can check the data.
	proof atomic.Int32

	// Tests replace these.
	wait   func(context.Context, time.Duration) error
	random func() float64
	stall  time.Duration // stallTimeout
	small  time.Duration // smallTimeout
}

// Open makes a Bucket of the whole bucket that config names; config.Prefix is for storage.Sub. It reads the CA file and
// talks to nobody: other mistakes show at the first use. getenv finds credentials.
func Open(config Config, getenv func(string) string) (*Bucket, error) {
	transport, err := newTransport(config.CAFile, getenv)
	if err != nil {
		return nil, err
	}
	return open(config, getenv, transport)
}

func open(config Config, getenv func(string) string, transport http.RoundTripper) (*Bucket, error) {
	if config.Endpoint == "" {
		config.Endpoint = awsEndpoint
	}
	endpoint, err := url.Parse(config.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("open s3://%s: endpoint %w", config.Bucket, err)
	}
	chain := &chain{sources: sources(config.Profile, getenv)}
	keys := credentials.New(chain)
	lookups := map[Addressing]minio.BucketLookupType{PathStyle: minio.BucketLookupPath, VirtualHostStyle: minio.BucketLookupDNS}
	client, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds:        keys,
		Secure:       endpoint.Scheme == "https",
		Transport:    listings{candid{cautious{transport}}},
		Region:       config.Region,
		BucketLookup: lookups[config.Addressing],
		MaxRetries:   1, // see retry.go
	})
	if err != nil {
		return nil, fmt.Errorf("open s3://%s: %w", config.Bucket, err)
	}
	bucket := &Bucket{
		config: config, client: client, credentials: keys, chain: chain, proxy: proxyFor(endpoint, getenv),
		wait: wait.For, random: rand.Float64, stall: stallTimeout, small: smallTimeout,
	}
	if s3utils.IsGoogleEndpoint(*endpoint) { // Google minds them
		bucket.proof.Store(int32(noProof))
	}
	return bucket, nil
}

// The actions in S3 policies that a Bucket needs.
const (
	actionGet    = "s3:GetObject"
	actionPut    = "s3:PutObject"
	actionList   = "s3:ListBucket"
	actionDelete = "s3:DeleteObject"
)

// call is one operation, for messages.
type call struct {
	verb, name, action string
}

// subject says what was done to which object.
func (b *Bucket) subject(c call) string {
	if c.name == "" {
		return fmt.Sprintf("%s %s", c.verb, b)
	}
	return fmt.Sprintf("%s %s in %s", c.verb, c.name, b)
}

func (b *Bucket) facts(c call) facts {
	f := facts{endpoint: b.config.Endpoint, bucket: b.config.Bucket, region: b.config.Region, action: c.action, object: c.name,
		access: "the access key", wrote: b.wrote.Load(), accepted: b.accepted.Load(), proxy: b.proxy,
	}
	if key, from, temporary := b.chain.inUse(); key != "" {
		f.access, f.temporary = fmt.Sprintf("access key %s (from %s)", key, from), temporary
	}
	return f
}

// check refuses names that no object can have.
func (b *Bucket) check(c call) error {
	if !storage.ValidName(c.name) {
		return fmt.Errorf("%s %q in %s: %w", c.verb, c.name, b, storage.ErrName)
	}
	return nil
}

// Stat implements storage.Bucket.
func (b *Bucket) Stat(ctx context.Context, name string) (storage.Info, error) {
	info, err := b.stat(ctx, call{"stat", name, actionGet})
	if err != nil {
		return storage.Info{}, err
	}
	if info.LastModified.Unix() == 0 { // noTime
		info.LastModified = time.Time{}
	}
	return storage.Info{Name: name, Size: info.Size, Modified: info.LastModified}, nil
}

func (b *Bucket) stat(ctx context.Context, c call) (info minio.ObjectInfo, err error) {
	if err := b.check(c); err != nil {
		return info, err
	}
	err = b.try(ctx, c, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, b.small)
		defer cancel()
		info, err = b.client.StatObject(ctx, b.config.Bucket, c.name, minio.StatObjectOptions{})
		if status := minio.ToErrorResponse(err).StatusCode; status >= 400 && status < 500 {
			return b.elaborate(ctx, c, err)
		}
		if err == nil && info.Size < 0 {
			info.Size, err = b.listedSize(ctx, c.name)
		}
		return cause(ctx, err)
	})
	return info, err
}

// listedSize asks a listing for the size of an object if a HEAD does not tell it.
func (b *Bucket) listedSize(ctx context.Context, name string) (int64, error) {
	ctx, _ = withCourse(ctx)
	for object := range b.client.ListObjectsIter(ctx, b.config.Bucket, minio.ListObjectsOptions{Prefix: name, Recursive: true, MaxKeys: 1}) {
		if object.Err != nil || object.Key == name {
			return object.Size, object.Err
		}
		break
	}
	return 0, fmt.Errorf("the server does not tell the size of %s", name)
}

// elaborate finds out what a failed HEAD means. The answer to a HEAD has no body and so no code: 404 also stands for a
// missing bucket, and 400 and 403 for bad credentials. A listing of that one name has a body. The listing also tells
// what a denied GET may mean: to those who may not list, S3 does not say that an object does not exist.
func (b *Bucket) elaborate(ctx context.Context, c call, err error) error {
	ctx, _ = withCourse(ctx)
	for object := range b.client.ListObjectsIter(ctx, b.config.Bucket, minio.ListObjectsOptions{Prefix: c.name, Recursive: true, MaxKeys: 1}) {
		answer := minio.ToErrorResponse(object.Err)
		switch {
		case object.Err == nil:
		case answer.StatusCode != 0 && meaningOf(answer) != forbidden:
			return cause(ctx, object.Err)
		case answer.StatusCode != 0 && minio.ToErrorResponse(err).StatusCode == http.StatusForbidden:
			return cause(ctx, &blindError{err})
		case answer.StatusCode == 0:
			return cause(ctx, object.Err)
		}
		break
	}
	return cause(ctx, err)
}

// Delete implements storage.Bucket.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	c := call{"delete", name, actionDelete}
	if err := b.check(c); err != nil {
		return err
	}
	err := b.try(ctx, c, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, b.small)
		defer cancel()
		return cause(ctx, b.client.RemoveObject(ctx, b.config.Bucket, name, minio.RemoveObjectOptions{}))
	})
	// Some services say that there was nothing, others that an object stands in the place of its folder.
	if errors.Is(err, storage.ErrNotExist) || errors.Is(err, storage.ErrName) {
		return nil
	}
	return err
}

// String implements storage.Bucket.
func (b *Bucket) String() string { return "s3://" + b.config.Bucket }

// cause returns why the context of an attempt has ended, if the error comes from that: minio-go tells only that the
// context has ended.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
