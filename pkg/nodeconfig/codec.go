package nodeconfig

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time.Duration written as a string such as "50ms".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// Document is one of the documents of this package.
type Document interface {
	Fleet | Shard | Status | Order | Rebalance
}

// Encode returns the document as JSON, the same bytes for the same document.
func Encode[D Document](d D) (string, error) {
	b, err := json.Marshal(d)
	return string(b), err
}

// Decode reads a document. It fails on malformed JSON and on a version other than [Version]. Unknown fields are
// allowed: what they mean is the writer's business as long as the version is the same; those that a reader must not
// skip are in [Entry.Requires].
func Decode[D Document](text string) (D, error) {
	var d D
	// What is as it should be is read in one go: a shard has 128 KiB.
	if err := json.Unmarshal([]byte(text), &d); err == nil && versionOf(d) == Version {
		return d, nil
	}
	return decodeSlowly[D](text)
}

// decodeSlowly says what is wrong with a document: of another version it is only that.
func decodeSlowly[D Document](text string) (D, error) {
	var d D
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal([]byte(text), &head); err != nil {
		return d, fmt.Errorf("decode %T: %w", d, err)
	}
	if head.Version != Version {
		return d, fmt.Errorf("decode %T: version %d is not supported, this program knows %d", d, head.Version, Version)
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		var none D
		return none, fmt.Errorf("decode %T: %w", d, err)
	}
	return d, nil
}

// versionOf returns the version that a document says it has.
func versionOf[D Document](d D) int {
	switch d := any(d).(type) {
	case Fleet:
		return d.Version
	case Shard:
		return d.Version
	case Status:
		return d.Version
	case Order:
		return d.Version
	case Rebalance:
		return d.Version
	default:
		return 0
	}
}
