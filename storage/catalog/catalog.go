package catalog

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// Tags of repository snapshots.
const (
	// TagStsbackup is on everything that stsbackup writes.
	TagStsbackup = "stsbackup"
	// TagRecord is on records only.
	TagRecord = "record"
	// TagRecoveryPoint, TagOrdinal and TagClaim are the keys of tags with a value: rp=<id>.
	TagRecoveryPoint = "rp"
	TagOrdinal       = "ordinal"
	TagClaim         = "claim"
)

// Sentinel errors.
var (
	// ErrNoRecoveryPoint: there is no such recovery point.
	ErrNoRecoveryPoint = errors.New("no such recovery point")
	// ErrAmbiguous: the reference is the beginning of more than one id.
	ErrAmbiguous = errors.New("ambiguous recovery point")
	// ErrOtherCluster: the repository was last written by another cluster.
	ErrOtherCluster = errors.New("the repository was last written by another cluster")
	// ErrExists: a recovery point with this id has been recorded already.
	ErrExists = errors.New("recovery point exists already")
)

// Password derives the password of one StatefulSet's repository from the root password.
func Password(root repository.Secret, namespace, statefulSet string) repository.Secret {
	mac := hmac.New(sha256.New, []byte(root.Reveal()))
	mac.Write([]byte("stsbackup/" + namespace + "/" + statefulSet))
	return repository.Secret(hex.EncodeToString(mac.Sum(nil)))
}

const idTime = "20060102T150405Z"

// The number of random bytes in an id: enough to keep apart what thousands of schedules begin in one second. Ids of
// earlier versions had earlierRandom.
const (
	idRandom      = 4
	earlierRandom = 2
)

// RecoveryPointID names a recovery point within its StatefulSet's repository: the time, in UTC, at which its backup
// began, and a random part, as in 20261121T081200Z-3fa91c07. It is no repository snapshot's id: a recovery point has a
// repository snapshot for each volume.
type RecoveryPointID string

// NewID makes the id of a recovery point: 20261121T081200Z-3fa91c07. Ids sort by time.
func NewID(now time.Time, random io.Reader) (RecoveryPointID, error) {
	var suffix [idRandom]byte
	if _, err := io.ReadFull(random, suffix[:]); err != nil {
		return "", fmt.Errorf("draw a recovery point id: %w", err)
	}
	return RecoveryPointID(now.UTC().Format(idTime) + "-" + hex.EncodeToString(suffix[:])), nil
}

// CheckID reports an id that no version of NewID can have made.
func CheckID(id RecoveryPointID) error {
	stamp, suffix, _ := strings.Cut(string(id), "-")
	_, err := time.Parse(idTime, stamp)
	raw, hexErr := hex.DecodeString(suffix)
	if err != nil || hexErr != nil || len(raw) != idRandom && len(raw) != earlierRandom || strings.ToLower(suffix) != suffix {
		return fmt.Errorf("%.60q is not the id of a recovery point (such as 20261121T081200Z-3fa91c07)", id)
	}
	return nil
}

// Catalog is the recovery points of one StatefulSet. Its methods are safe for concurrent use.
type Catalog struct {
	repo *repository.Repository
	host string // <namespace>/<statefulset>: the host of its repository snapshots
}

// Host is the host of a StatefulSet's repository snapshots, and the place of the StatefulSet's repository below the
// root.
func Host(namespace, statefulSet string) string { return namespace + "/" + statefulSet }

// Open opens the catalog of a StatefulSet below root. The password is the repository's, as Password derives it. Open
// returns repository.ErrNoRepository if there is none, and repository.ErrWrongPassword for a wrong password.
func Open(ctx context.Context, root storage.Bucket, namespace, statefulSet string, password repository.Secret) (*Catalog, error) {
	return open(root, namespace, statefulSet, func(bucket storage.Bucket) (*repository.Repository, error) {
		return repository.Open(ctx, bucket, password, repository.Options{})
	})
}

// OpenOrCreate is Open, but makes the repository if there is none.
func OpenOrCreate(ctx context.Context, root storage.Bucket, namespace, statefulSet string, password repository.Secret) (*Catalog, error) {
	return open(root, namespace, statefulSet, func(bucket storage.Bucket) (*repository.Repository, error) {
		repo, err := repository.Open(ctx, bucket, password, repository.Options{})
		if !errors.Is(err, repository.ErrNoRepository) {
			return repo, err
		}
		repo, err = repository.Init(ctx, bucket, password, repository.Options{})
		if errors.Is(err, repository.ErrExists) { // somebody else has just made it
			return repository.Open(ctx, bucket, password, repository.Options{})
		}
		return repo, err
	})
}

func open(root storage.Bucket, namespace, statefulSet string,
	open func(storage.Bucket) (*repository.Repository, error),
) (*Catalog, error) {
	host := Host(namespace, statefulSet)
	if namespace == "" || statefulSet == "" || strings.Count(host, "/") != 1 {
		return nil, fmt.Errorf("open the repository of %q: not NAMESPACE/STATEFULSET", host)
	}
	bucket, err := storage.Sub(root, host)
	if err != nil {
		return nil, fmt.Errorf("open the repository of %s: %w", host, err)
	}
	repo, err := open(bucket)
	if err != nil {
		return nil, explain(host, err)
	}
	return &Catalog{repo: repo, host: host}, nil
}

// explain adds advice to errors that a person can do something about.
func explain(host string, err error) error {
	switch {
	case errors.Is(err, repository.ErrNoRepository):
		return fmt.Errorf("%s has no backup here: %w; check --repo, the namespace and the name", host, err)
	case errors.Is(err, repository.ErrWrongPassword):
		return fmt.Errorf("%s: %w; it was made with another root password, or for another namespace and name", host, err)
	default:
		return fmt.Errorf("%s: %w", host, err)
	}
}

// Repository is the repository with the data of the recovery points.
func (c *Catalog) Repository() *repository.Repository { return c.repo }

// SetOperation sets what our locks on the repository say about their holder's work.
func (c *Catalog) SetOperation(operation string) { c.repo.SetOperation(operation) }

// Unlock removes the locks on the repository whose holders are gone, according to gone; see
// repository.Repository.Unlock.
func (c *Catalog) Unlock(ctx context.Context, gone func(repository.Holder) bool) ([]repository.Holder, error) {
	return c.repo.Unlock(ctx, gone)
}

// WaitingText says for whom somebody has to wait before working on the repository, and how long at most.
func (c *Catalog) WaitingText(limit time.Duration, locked error) string {
	return fmt.Sprintf("Waiting up to %s for the repository of %s: %s", limit, c.host, locked)
}

// Host is the function Host for this catalog's StatefulSet.
func (c *Catalog) Host() string { return c.host }

// CheckCluster fails with ErrOtherCluster if the newest of the records came from another cluster than the one with this
// UID: two clusters that share a root by mistake must not interleave their recovery points.
func CheckCluster(records []Record, cluster string) error {
	var newest *Record
	for i := range records {
		if newest == nil || records[i].ID > newest.ID {
			newest = &records[i]
		}
	}
	if newest == nil || newest.Cluster == cluster {
		return nil
	}
	return fmt.Errorf("recovery point %s of %s came from cluster %s, this is cluster %s: %w",
		newest.ID, Host(newest.Namespace, newest.StatefulSet), newest.Cluster, cluster, ErrOtherCluster)
}

// Name names a StatefulSet that has a repository.
type Name struct{ Namespace, StatefulSet string }

// String gives the name as users write it.
func (n Name) String() string { return Host(n.Namespace, n.StatefulSet) }

// Names lists the StatefulSets that have a repository below root, in lexical order.
func Names(ctx context.Context, root storage.Bucket) ([]Name, error) {
	namespaces, err := storage.Folders(ctx, root, "")
	if err != nil {
		return nil, fmt.Errorf("list repositories: %w", err)
	}
	var names []Name
	for _, namespace := range namespaces {
		statefulSets, err := storage.Folders(ctx, root, namespace+"/")
		if err != nil {
			return nil, fmt.Errorf("list repositories: %w", err)
		}
		for _, statefulSet := range statefulSets {
			name := Name{Namespace: namespace, StatefulSet: statefulSet}
			exists, err := repositoryExists(ctx, root, name)
			if err != nil {
				return nil, fmt.Errorf("list repositories: %w", err)
			}
			if exists {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

func repositoryExists(ctx context.Context, root storage.Bucket, name Name) (bool, error) {
	bucket, err := storage.Sub(root, name.String())
	if err != nil {
		return false, nil //nolint:nilerr // a folder with an invalid name is not ours
	}
	return repository.Exists(ctx, bucket)
}
