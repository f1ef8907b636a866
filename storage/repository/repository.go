package repository

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/blobindex"
	"github.com/stsbackup/stsbackup/storage/repository/compress"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

// Sentinel errors.
var (
	// ErrNoRepository: nothing in the bucket says that there is a repository.
	ErrNoRepository = errors.New("no repository there")
	// ErrWrongPassword: there is a repository, and none of its keys opens with this password.
	ErrWrongPassword = errors.New("wrong password")
	// ErrExists: there is a repository already, so none can be made.
	ErrExists = errors.New("a repository exists there already")
	// ErrLocked: someone else is at work who must not be disturbed.
	ErrLocked = errors.New("repository is locked")
	// ErrLockLost: the lock could not be renewed or was removed, so the repository must not be written any more.
	ErrLockLost = errors.New("lost the lock on the repository")
	// ErrNoKey: there is no such key.
	ErrNoKey = errors.New("no such key")
	// ErrKeyNeeded: without this key the repository could not be opened any more.
	ErrKeyNeeded = errors.New("the key is needed")
	// ErrNoBlob: the index does not know this blob.
	ErrNoBlob = errors.New("not in the index")
	// ErrNoSnapshot: there is no such repository snapshot.
	ErrNoSnapshot = errors.New("no such repository snapshot")
)

// Options are what a repository takes from its surroundings. The zero value is right for production.
type Options struct {
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Random is where keys and initialisation vectors come from; it must be safe for concurrent use and
	// unpredictable. Nil means crypto/rand.
	Random io.Reader
	// Hostname, Username and PID go into keys and locks, for people to read and to recognise dead holders of a
	// lock. Empty or zero means this process's own.
	Hostname string
	Username string
	PID      int
	// Operation, if there is one, says in locks what their holder is doing: those who know that an operation is over
	// can then remove what it has left (Unlock).
	Operation string
	// Compression is that of the content of files that is stored.
	Compression compress.Level

	scrypt   scryptParams
	timing   lockTiming
	indexing indexTiming
	lockWait LockWait
	lockLeft func(error)
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the default of the injected clock
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Hostname == "" {
		// A host that cannot say its name has locks that only age can release.
		o.Hostname, _ = os.Hostname()
	}
	if o.Username == "" {
		o.Username = "stsbackup"
	}
	if o.PID == 0 {
		o.PID = os.Getpid()
	}
	if o.scrypt == (scryptParams{}) {
		o.scrypt = defaultScrypt()
	}
	if o.timing == (lockTiming{}) {
		o.timing = defaultLockTiming()
	}
	if o.indexing == (indexTiming{}) {
		o.indexing = defaultIndexTiming()
	}
	return o
}

// lockHost is what locks give as their host: the format has no field for the operation.
func (o Options) lockHost(operation string) string {
	if operation == "" {
		return o.Hostname
	}
	return o.Hostname + operationMark + operation
}

// Repository is an open repository. Its methods are safe for concurrent use.
type Repository struct {
	bucket  storage.Bucket
	options Options
	config  config
	master  seal.Key
	key     ID // of the key object that opened it
	sealer  *seal.Sealer
	zstd    *compress.Codec
	index   *blobindex.Index
	copies  copies
	trees   treePacks
	left    *leftLocks
}

// Open opens the repository in bucket. The error is ErrNoRepository if there is none and ErrWrongPassword if it has keys
// and password opens none of them.
func Open(ctx context.Context, bucket storage.Bucket, password Secret, options Options) (*Repository, error) {
	options = options.withDefaults()
	raw, err := getObject(ctx, bucket, configName, maxConfigSize)
	if errors.Is(err, storage.ErrNotExist) {
		return nil, fmt.Errorf("open %s: %w", bucket, ErrNoRepository)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s/%s: %w", bucket, configName, err)
	}
	var repo *Repository
	err = openKeys(ctx, bucket, password, options.Random, func(key ID, master seal.Key) error {
		repo, err = newRepository(bucket, master, raw, options)
		if err == nil {
			repo.key = key
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	return repo, nil
}

func newRepository(bucket storage.Bucket, master seal.Key, rawConfig []byte, options Options) (*Repository, error) {
	sealer, err := seal.New(master, options.Random)
	if err != nil {
		return nil, err
	}
	config, err := openConfig(rawConfig, sealer)
	if err != nil {
		return nil, err
	}
	codec, err := compress.NewCodec()
	if err != nil {
		return nil, err
	}
	return &Repository{
		bucket: bucket, options: options, config: config, master: master, sealer: sealer, zstd: codec, index: blobindex.New(),
		left: &leftLocks{},
	}, nil
}

// withIndex is the same repository with another index, which can be filled and used while others rely on r's.
func (r *Repository) withIndex(x *blobindex.Index) *Repository {
	return &Repository{
		bucket: r.bucket, options: r.options, config: r.config, master: r.master, key: r.key,
		sealer: r.sealer, zstd: r.zstd, index: x, left: r.left,
	}
}

// Writable reports a repository that can be read, and to which no data can be added: one of version 1 of the format.
func (r *Repository) Writable() error {
	if r.config.Version >= 2 {
		return nil
	}
	return fmt.Errorf("%s has repository format version 1, which can be read but not written; upgrade it with the password that "+
		"stsbackup key print shows: restic migrate upgrade_repo_v2", r)
}

// String says which repository this is, for messages.
func (r *Repository) String() string { return r.bucket.String() }

// ID is the repository's own random id, as 64 hex digits.
func (r *Repository) ID() string { return r.config.ID }

// ChunkerKey is the secret of 32 bytes that decides where files are cut into blobs.
func (r *Repository) ChunkerKey() []byte { return r.master.ChunkerKey() }

// SetOperation is Options.Operation for a repository that is open. Call it before the repository is used.
func (r *Repository) SetOperation(operation string) { r.options.Operation = operation }

// SetCompression is Options.Compression for a repository that is open. Call it before the repository is used.
func (r *Repository) SetCompression(level compress.Level) { r.options.Compression = level }

// Now reads the clock that the repository was opened with.
func (r *Repository) Now() time.Time { return r.options.Now() }
