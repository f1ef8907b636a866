package s3

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest/odds3"
)

// appendOnly refuses to remove anything.
func appendOnly(r *http.Request) *odds3.Refusal {
	if r.Method != http.MethodDelete {
		return nil
	}
	return &odds3.Refusal{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access Denied"}
}

// TestCredentialsThatMayNotDelete: several backups succeed in turn, each with a warning, and no lock that one leaves
// blocks the next. Credentials that may delete can prune, and that removes the locks.
func TestCredentialsThatMayNotDelete(t *testing.T) {
	t.Parallel()
	s, bucket := newOdd(t)
	s.Set(odds3.Odds{Refuse: appendOnly})
	j := newJob(t, bucket, "demo/web")
	if err := j.init(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, options := range []repository.Options{{PID: nobody}, {PID: nobody}, {Hostname: "elsewhere"}, {}} { // the first two are dead
		repo, err := repository.Open(t.Context(), j.bucket, repoPassword, options)
		if err != nil {
			t.Fatal(err)
		}
		result, err := archive.Backup(t.Context(), repo, archive.Source{Dir: j.source, Name: claim, Host: "demo/web"}, nil)
		if err != nil || len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "these credentials may not remove it") ||
			strings.Contains(result.Warnings[0], "remove it before") {
			t.Errorf("%+v: %v, %q", options, err, result.Warnings)
		}
		j.expected[result.RepositorySnapshot] = j.tree(j.source)
		j.repo = repo
		if err := j.restore(t.Context()); err != nil {
			t.Error(err)
		}
	}
	s.Set(odds3.Odds{})
	if _, err := j.repo.Unlock(t.Context(), func(repository.Holder) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if _, err := j.repo.Prune(t.Context(), repository.PruneOptions{}); err != nil {
		t.Error(err)
	}
	if left, err := listNames(t.Context(), j.bucket, "locks/"); err != nil || len(left) > 0 {
		t.Errorf("locks: %q, %v", left, err)
	}
}
