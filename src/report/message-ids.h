/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The journal messages of carryover, an interface: an id is never given another meaning. Each has its text
 * in units/carryover.catalog; tests/style/check-catalog compares the two lists.
 */

#define MESSAGE_SAVE_BEGUN    "c5fe8b8a1cd44bffa6d23865d0f88aaa"
#define MESSAGE_TREE_SAVED    "3115825a2b3f4fbabe3e322162f94319"
#define MESSAGE_TREE_REFUSED  "3aa1b9950b72417a983204819ac1974e"
#define MESSAGE_SEALED        "f850c12467a54b26a2ba0e63a3d668be"
#define MESSAGE_JUMP_LOADED   "53b619c3ff91425887c401bcc127e2b4"
#define MESSAGE_JUMP_FAILED   "0193c41050534adbad5ef46f30dec4d8"
#define MESSAGE_CLAIMED       "f1b8a76db25e41da9ccdf2c26cc6ff93"
#define MESSAGE_HOLD_MISSING  "6df5d60898f946a8b3629cebb712b1f6"
#define MESSAGE_TREE_CARRIED  "1abd047202f94ba195dcae08abe249ad"
#define MESSAGE_TREE_FAILED   "42cf0c53184b4113b16635250aebdd8d"
#define MESSAGE_TREE_LOST     "2f011f532e134b47859306dc7c9b6b28"
#define MESSAGE_SAVE_STOPPED  "34e1eec05f514e78af630642cc13955e"
#define MESSAGE_ALL_CARRIED   "99be960ea0c1438797d0d8219af00992"
#define MESSAGE_TREE_UNSEALED "f73e6fb0133f4b92bbcba25cb2a1feff"
