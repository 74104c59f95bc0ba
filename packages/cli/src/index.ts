export type { Course } from './demo/course.ts';
