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
	// ErrWrongPassword: there is a repository, but none of its keys opens with this password.
	ErrWrongPassword = errors.New("wrong password")
	// ErrExists: there is a repository already, so none can be made.
	ErrExists = errors.New("a repository exists there already")
	// ErrLocked: somebody else is at work, whom we must not disturb.
	ErrLocked = errors.New("repository is locked")
	// ErrLockLost: the lock was removed or could not be renewed, so nothing may be written to the repository any more.
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

// Options are what a repository needs from its surroundings. The zero value is right for production.
type Options struct {
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Random is the source of keys and initialisation vectors; it must be safe for concurrent use and unpredictable.
	// Nil means crypto/rand.
	Random io.Reader
	// Hostname, Username and PID go into keys and locks, for people to read and for recognising dead lock holders.
	// Empty or zero means this process's own.
	Hostname string
	Username string
	PID      int
	// Operation, if set, says in locks what their holder is doing. Whoever knows that an operation is over can then
	// remove its locks (Unlock).
	Operation string
	// Compression is how the content of files is compressed.
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
		// If a host cannot say its name, only age can release its locks.
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

// lockHost is the host name in locks, with the operation: the format has no field for the operation.
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

// Open opens the repository in bucket. It returns ErrNoRepository if there is none, and ErrWrongPassword if there are
// keys but password opens none of them.
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

// withIndex is the same repository with another index, which can be filled and used while others rely on r's index.
func (r *Repository) withIndex(x *blobindex.Index) *Repository {
	return &Repository{
		bucket: r.bucket, options: r.options, config: r.config, master: r.master, key: r.key,
		sealer: r.sealer, zstd: r.zstd, index: x, left: r.left,
	}
}

// Writable returns an error if the repository can be read, but takes no new data: it has version 1 of the format.
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

// ChunkerKey is the 32-byte secret that decides where files are cut into blobs.
func (r *Repository) ChunkerKey() []byte { return r.master.ChunkerKey() }

// SetOperation sets Options.Operation of an open repository. Call it before the repository is used.
func (r *Repository) SetOperation(operation string) { r.options.Operation = operation }

// SetCompression sets Options.Compression of an open repository. Call it before the repository is used.
func (r *Repository) SetCompression(level compress.Level) { r.options.Compression = level }

// Now reads the clock that the repository was opened with.
func (r *Repository) Now() time.Time { return r.options.Now() }
