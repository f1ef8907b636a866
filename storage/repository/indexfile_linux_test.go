package repository

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository/blobindex"
	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// loseIndexFiles empties the temporary files of all indexes. They have no names, but this process has them open.
func loseIndexFiles(t *testing.T) {
	t.Helper()
	const open = "/proc/self/fd/"
	files, err := os.ReadDir(open)
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, file := range files {
		target, err := os.Readlink(open + file.Name())
		if err != nil || !strings.Contains(target, "/stsbackup-index-") {
			continue // the listing's own descriptor, which is closed by now
		}
		if err := os.Truncate(open+file.Name(), 0); err != nil {
			t.Fatal(err)
		}
		lost++
	}
	if lost == 0 {
		t.Fatal("no index has a file")
	}
}

// TestUnreadableRun: if the index's own file fails, that is no damage of the repository, and nothing counts as missing.
func TestUnreadableRun(t *testing.T) {
	author, memory := newRepo(t)
	writer, err := author.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, err := writer.SaveBlob(t.Context(), format.DataBlob, []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Flush(); err != nil {
		t.Fatal(err)
	}
	repo := reopen(t, memory)
	if err := repo.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Enough further blobs to push the first ones into a file.
	for n := range 40 {
		blobs := make([]packfile.Blob, 1000)
		for i := range blobs {
			blobs[i] = packfile.Blob{ID: Hash(fmt.Append(nil, n, i)), Type: DataBlob, Offset: uint32(100 * i), Length: 100}
		}
		repo.index.Add(packfile.Pack{ID: Hash(fmt.Append(nil, n)), Blobs: blobs})
	}
	loseIndexFiles(t)
	_, err = repo.LoadBlob(t.Context(), format.DataBlob, id)
	if !errors.Is(err, blobindex.ErrFile) || errors.Is(err, ErrNoBlob) || !strings.Contains(err.Error(), id.String()) {
		t.Errorf("load: %v", err)
	}
	if !Undecided(context.Background(), err) {
		t.Errorf("%v is taken for damage", err)
	}
	// A backup stores the blob once more.
	again, err := repo.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.SaveBlob(t.Context(), format.DataBlob, []byte("content")); err != nil {
		t.Fatal(err)
	}
	if err := again.Flush(); err != nil {
		t.Fatal(err)
	}
	if stored := again.Stats().DataBlobs; stored != 1 {
		t.Errorf("%d blobs stored", stored)
	}
	if got, err := repo.LoadBlob(t.Context(), format.DataBlob, id); err != nil || !slices.Equal(got, []byte("content")) {
		t.Errorf("%q, %v", got, err)
	}
}
