package catalog

import (
	"io"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
)

func names(t *testing.T, bucket storage.Bucket, prefix string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := bucket.List(t.Context(), prefix, func(info storage.Info) error {
		found[info.Name] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func count(t *testing.T, bucket storage.Bucket, prefix string) int {
	t.Helper()
	return len(names(t, bucket, prefix))
}

func read(t *testing.T, bucket storage.Bucket, name string) []byte {
	t.Helper()
	body, err := bucket.Get(t.Context(), name, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
