"""The few rules of CSS that the theme options cannot say. No user text comes near this."""

from __future__ import annotations

from pathlib import Path

import streamlit as st


def inject() -> None:
    st.html(Path(__file__).with_name("style.css"))
