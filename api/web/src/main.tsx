/** Puts the page together. */
import { render } from 'preact';
import { App, start } from './app';
import './ui/base.css';
import './join/join.css';
import './call/call.css';

const root = document.getElementById('app');
if (root) {
  start();
  render(<App />, root);
}
