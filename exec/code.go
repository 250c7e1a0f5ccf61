package exec

import "container/list"

// codeKey names one version of a function.
type codeKey struct {
	function string
	version  int
}

// codes keeps the code of functions, the most recently used, by count and bytes.
type codes struct {
	byKey map[codeKey]*list.Element
	lru   list.List // of codeEntry, the most recently used first
	bytes int
}

type codeEntry struct {
	key  codeKey
	code string
}

func newCodes() *codes { return &codes{byKey: map[codeKey]*list.Element{}} }

func (c *codes) get(k codeKey) (string, bool) {
	e, ok := c.byKey[k]
	if !ok {
		return "", false
	}
	c.lru.MoveToFront(e)
	return e.Value.(codeEntry).code, true
}

func (c *codes) put(k codeKey, code string) {
	if e, ok := c.byKey[k]; ok {
		c.remove(e)
	}
	c.byKey[k] = c.lru.PushFront(codeEntry{k, code})
	c.bytes += len(code)
	for c.lru.Len() > codesMax || c.bytes > codeBytesMax && c.lru.Len() > 1 {
		c.remove(c.lru.Back())
	}
}

func (c *codes) remove(e *list.Element) {
	entry := c.lru.Remove(e).(codeEntry)
	delete(c.byKey, entry.key)
	c.bytes -= len(entry.code)
}
