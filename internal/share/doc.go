// Package share reads and writes a part of a whole in percent: 5% is 0.05. The flag verify --read-data and the
// field readData of policies mean the same by it.
//
// A share is more than nothing and at most all. To mean nothing, leave it out.
package share
