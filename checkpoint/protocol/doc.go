// Package protocol decides every change of the ledger's small records: the heads of lanes and pipeline.json.
//
// It is a pure function. [Step] takes the state of one worker's dealings with one head and an event, and returns the new
// state and the one effect to carry out next; the outcome of that effect is the next event. It has no clock, no I/O and no
// randomness: nonces come in events. The driver around it is package checkpoint; the model that explores every order of
// crashes, delays, duplicates and lost replies drives the very same function.
//
// # The swap
//
// Every change of a head is one conditional PUT with the ETag that was read and a nonce of its own, and nothing else is sent
// for that head before the PUT is decided. An answer of 200 decides it. After anything else the head is read strongly:
//
//	its nonce is mine                        it landed, and only the reply was lost
//	its ETag is the one I started from       the same bytes are sent again; a straggler may still land, and is the same bytes
//	its epoch is higher, or another owner's  fenced, definitively; whether mine landed is for the new owner to know
//	I acquire, and its epoch is lower        its owner has changed it meanwhile: acquire again, from what was read
//	anything else                            halt: somebody else writes here
//
// Taking a lane is such a swap, followed by a look at what lies beyond the head: a manifest above the head's number whose
// files readers can see means that the head is older than its data. Nothing is committed and nothing is collected before
// that look has passed.
//
// pipeline.json has many writers and decides by its content instead, see [StepPipeline].
//
// # What it leaves to others
//
// Waiting, repeating and time-outs belong to the driver. So does the age of objects: [Verdict] says what may go by age.
package protocol
