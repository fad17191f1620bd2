//! House rules the compiler cannot see.
