package storage

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A Bucket must accept at least names, and elements between two slashes, of this many bytes: the limits of S3 and of
// file systems.
const (
	MaxName    = 1024
	MaxElement = 255
)

// ValidName reports whether an object can have this name: 1 to MaxName bytes of UTF-8 without control characters or
// backslashes, whose slash-separated elements have 1 to MaxElement bytes and are neither "." nor "..". So the name is a
// plain relative path wherever the object is kept.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) {
		return false
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == "" || len(element) > MaxElement || element == "." || element == ".." {
			return false
		}
	}
	return strings.IndexFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' }) < 0
}

// ValidPrefix reports whether some valid name can start with prefix. With any other prefix, List finds nothing.
func ValidPrefix(prefix string) bool {
	return prefix == "" || ValidName(prefix) || ValidName(prefix+"x")
}

// Sub returns the part of bucket whose names start with prefix and a slash, as a Bucket of its own. With an empty
// prefix it returns the bucket itself. If ValidName does not accept the prefix, the error is an ErrName that names it.
func Sub(bucket Bucket, prefix string) (Bucket, error) {
	if prefix == "" {
		return bucket, nil
	}
	if !ValidName(prefix) {
		return nil, fmt.Errorf("use %q as a prefix in %s: %w", prefix, bucket, ErrName)
	}
	return &sub{bucket: bucket, prefix: prefix + "/"}, nil
}

type sub struct {
	bucket Bucket
	prefix string
}

func (s *sub) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	return s.bucket.Get(ctx, s.prefix+name, offset, length)
}

func (s *sub) Put(ctx context.Context, name string, data []byte) error {
	return s.bucket.Put(ctx, s.prefix+name, data)
}

// PutPaced implements PacedPutter.
func (s *sub) PutPaced(ctx context.Context, name string, data []byte, pace Pace) error {
	return PutPaced(ctx, s.bucket, s.prefix+name, data, pace)
}

func (s *sub) Stat(ctx context.Context, name string) (Info, error) {
	info, err := s.bucket.Stat(ctx, s.prefix+name)
	info.Name = name
	return info, err
}

func (s *sub) List(ctx context.Context, prefix string, fn func(Info) error) error {
	return s.bucket.List(ctx, s.prefix+prefix, func(info Info) error {
		info.Name = strings.TrimPrefix(info.Name, s.prefix)
		return fn(info)
	})
}

func (s *sub) Delete(ctx context.Context, name string) error {
	return s.bucket.Delete(ctx, s.prefix+name)
}

// Folders implements FolderLister.
func (s *sub) Folders(ctx context.Context, prefix string) ([]string, error) {
	return Folders(ctx, s.bucket, s.prefix+prefix)
}

func (s *sub) String() string {
	return strings.TrimSuffix(s.bucket.String(), "/") + "/" + strings.TrimSuffix(s.prefix, "/")
}
