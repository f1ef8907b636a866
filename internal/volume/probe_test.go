package volume

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository"
)

func TestExplainProbe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		location string
		err      error
		says     string
	}{
		{"s3://bucket/r?endpoint=http://localhost:9000", storage.ErrUnreachable, "localhost is the pod itself"},
		{"s3://bucket/r?endpoint=http://[::1]:9000", storage.ErrUnreachable, "::1 is the pod itself"},
		{"s3://bucket/r?endpoint=https://s3.example.com", storage.ErrUnreachable, "if pods reach the bucket at another address, give " +
			"that URL with --mover-repo"},
		{"s3://bucket/r", storage.ErrUnreachable, "--mover-repo"},
		{"s3://bucket/r", storage.ErrNoBucket, "the same place as --repo"},
		{"s3://bucket/r", repository.ErrNoRepository, "the same place as --repo"},
		{"s3://bucket/r", storage.ErrCredentials, ""},
	} {
		got := ExplainInPod(tt.location, fmt.Errorf("get config: %w", tt.err))
		if !errors.Is(got, tt.err) || !strings.Contains(got.Error(), tt.says) || tt.says == "" && got.Error() != "get config: "+tt.err.Error() {
			t.Errorf("%s: %v, which does not say %q", tt.location, got, tt.says)
		}
	}
}
