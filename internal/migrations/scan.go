package migrations

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/wasilibs/go-pgquery/parser"
)

// Numbers of tokens in libpg_query's protobuf (enum Token); single characters have their own code.
const (
	tokenIdent        = 258
	tokenUnicodeIdent = 259
	tokenString       = 261
	tokenOperator     = 265
	tokenParam        = 267
	tokenSQLComment   = 275
	tokenCComment     = 276
)

// token is one lexical element of a file.
type token struct {
	start, end int // byte offsets
	code       int
	// word is the lower-case text of a keyword, "" for all else. Identifiers are no keywords.
	word string
}

// leaf tells names and constants.
func (t token) leaf() bool {
	return t.word == "" && t.code >= tokenIdent && t.code <= tokenParam && t.code != tokenOperator
}

// parserLock keeps every call on one instance of the WebAssembly module: an instance takes two
// seconds and 20 MB to start, a file less than a millisecond to read.
var parserLock sync.Mutex

// syntaxError is the parser's complaint, at a byte offset of its input.
type syntaxError struct {
	message string
	offset  int
}

func (e *syntaxError) Error() string { return e.message }

// brief is the complaint without the rest of the file, which the lexer quotes behind "at or near".
func (e *syntaxError) brief() string {
	line, rest, cut := strings.Cut(e.message, "\n")
	const most = 200
	if len(line) > most {
		line, cut = strings.ToValidUTF8(line[:most], ""), true
	}
	if cut && rest != "" || len(e.message) > most {
		line += " ..."
	}
	return line
}

// scan runs PostgreSQL's own lexer. It needs valid UTF-8 without NUL bytes.
func scan(text string) ([]token, error) {
	var raw []byte
	err := guarded(text, func() (err error) {
		raw, err = parser.ScanToProtobuf(text)
		return err
	})
	if err != nil {
		return nil, err
	}
	return decodeTokens(raw, text)
}

// parse runs PostgreSQL's own grammar over one statement and says what it does not understand. The
// input must have passed tooDeep: the module cannot report an exhausted stack and would hang.
func parse(text string) (json string, err error) {
	err = guarded(text, func() (err error) {
		json, err = parser.ParseToJSON(text)
		return err
	})
	return json, err
}

// guarded calls the module and turns its errors, and its traps, into syntaxErrors.
func guarded(text string, call func() error) (err error) {
	parserLock.Lock()
	defer parserLock.Unlock()
	defer func() {
		if trap := recover(); trap != nil {
			err = &syntaxError{message: fmt.Sprintf("the parser gave up: %v", trap)}
		}
	}()
	err = call()
	if complaint, ok := errors.AsType[*parser.Error](err); ok {
		return &syntaxError{message: complaint.Message, offset: byteOffset(text, complaint.Cursorpos)}
	}
	return err
}

// byteOffset turns a 1-based position in characters, as PostgreSQL reports them, into a byte offset.
func byteOffset(text string, position int) int {
	offset := 0
	for ; position > 1 && offset < len(text); position-- {
		_, size := utf8.DecodeRuneInString(text[offset:])
		offset += size
	}
	return offset
}

var errProtobuf = errors.New("the parser's answer cannot be read")

// decodeTokens reads a ScanResult: field 2 is a ScanToken of start (1), end (2), token (4) and
// keyword_kind (5). Reading it here spares the 1.6 MB of generated code that knows all of SQL.
func decodeTokens(raw []byte, text string) ([]token, error) {
	var tokens []token
	for len(raw) > 0 {
		field, _, message, rest, ok := protobufField(raw)
		if !ok {
			return nil, errProtobuf
		}
		raw = rest
		if field != 2 {
			continue
		}
		t, ok := decodeToken(message)
		if !ok || t.start < 0 || t.end > len(text) || t.start > t.end {
			return nil, errProtobuf
		}
		if t.word != "" {
			t.word = strings.ToLower(text[t.start:t.end])
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

func decodeToken(raw []byte) (t token, ok bool) {
	for len(raw) > 0 {
		field, value, _, rest, ok := protobufField(raw)
		if !ok {
			return t, false
		}
		raw = rest
		if value > math.MaxInt32 {
			return t, false
		}
		switch field {
		case 1:
			t.start = int(value)
		case 2:
			t.end = int(value)
		case 4:
			t.code = int(value)
		case 5:
			t.word = "keyword"
		}
	}
	return t, true
}

// protobufField reads one field: a number (wire type 0) or a message (wire type 2).
func protobufField(raw []byte) (field int, value uint64, message, rest []byte, ok bool) {
	key, n := binary.Uvarint(raw)
	if n <= 0 {
		return 0, 0, nil, nil, false
	}
	value, m := binary.Uvarint(raw[n:])
	if m <= 0 {
		return 0, 0, nil, nil, false
	}
	rest = raw[n+m:]
	switch key & 7 {
	case 0:
		return int(key >> 3), value, nil, rest, true
	case 2:
		if value > uint64(len(rest)) {
			return 0, 0, nil, nil, false
		}
		return int(key >> 3), 0, rest[:value], rest[value:], true
	}
	return 0, 0, nil, nil, false
}
