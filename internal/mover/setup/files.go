package setup

import (
	"context"
	"fmt"
	"os"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/s3"
)

// files knows where the files of movers come from.
type files struct {
	getenv   func(string) string
	password repository.Secret
	bucket   *s3.Config // nil: no S3
	proxies  []byte     // with passwords; empty: none
}

// read returns the files as they are now: the keys of a role change each time.
func (f *files) read(ctx context.Context) (cluster.KeyFiles, error) {
	found := cluster.KeyFiles{Content: map[string][]byte{string(contract.Password): []byte(f.password.Reveal() + "\n")}}
	if len(f.proxies) > 0 {
		found.Content[string(contract.Proxies)] = f.proxies
	}
	if f.bucket == nil {
		return found, nil
	}
	credentials, err := s3.ResolveCredentials(ctx, *f.bucket, f.getenv)
	if err != nil {
		return cluster.KeyFiles{}, err
	}
	found.Content[string(contract.Credentials)], found.Expires = credentials.SharedFile(), credentials.Expires()
	if f.bucket.CAFile != "" {
		if found.Content[string(contract.CA)], err = os.ReadFile(f.bucket.CAFile); err != nil {
			return cluster.KeyFiles{}, fmt.Errorf("read the certificates to trust: %w", err)
		}
	}
	return found, nil
}
