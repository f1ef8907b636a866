package s3

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

var _ storage.FolderLister = (*Bucket)(nil)

// TestMain keeps the tests from finding the credentials of the person who runs them.
func TestMain(m *testing.M) {
	home, err := os.MkdirTemp("", "stsbackup-s3-test")
	if err == nil {
		err = errors.Join(os.Setenv("HOME", home), os.Setenv("AWS_EC2_METADATA_DISABLED", "true"))
	}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "AWS_") && name != "AWS_EC2_METADATA_DISABLED" {
			err = errors.Join(err, os.Unsetenv(name))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // a test binary's main is here
	}
	m.Run()
	_ = os.RemoveAll(home)
}

func TestVersitygwKeepsTheContract(t *testing.T) {
	t.Parallel()
	server := startVersitygw(t)
	storagetest.Contract{
		Open: func(t *testing.T) storage.Bucket { return server.newBucket(t) },
		// It keeps objects that it is writing under other names until they are whole.
		Transient: func(name string) bool { return strings.Contains(name, ".sgwtmp.") },
	}.Test(t)
}

func TestMinIOKeepsTheContract(t *testing.T) {
	t.Parallel()
	contract(t, startMinIO(t))
}

func TestSecureMinIOWithVirtualHostsKeepsTheContract(t *testing.T) {
	t.Parallel()
	contract(t, startSecureMinIO(t))
}

func contract(t *testing.T, s *server) {
	t.Helper()
	storagetest.Contract{Open: func(t *testing.T) storage.Bucket { return s.newBucket(t) }}.Test(t)
}
