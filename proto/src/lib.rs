//! The protocol definitions of Tandem and what is generated from them.
